from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0016_sweep"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="changed",
            field=models.BigIntegerField(
                db_default=0,
                editable=False,
                help_text="Grows whenever something of it, or of a unit of it, has changed.",
            ),
        ),
    ]
