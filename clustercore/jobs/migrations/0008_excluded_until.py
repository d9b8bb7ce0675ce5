from django.db import migrations, models


class Migration(migrations.Migration):
    """Exclusions end by themselves; those of before are over."""

    dependencies = [("jobs", "0007_job_blob")]

    operations = [
        migrations.AddField(
            model_name="unit",
            name="excluded_until",
            field=models.DateTimeField(blank=True, help_text="After that the excluded nodes may try again.", null=True),
        ),
    ]
