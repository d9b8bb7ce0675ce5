from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0005_keys")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="request_digest",
            field=models.CharField(
                blank=True,
                default="",
                help_text="SHA-256 of all that was asked; kept where there is a key.",
                max_length=64,
            ),
        ),
    ]
