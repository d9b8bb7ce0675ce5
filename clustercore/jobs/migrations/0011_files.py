from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0010_joins"),
    ]

    operations = [
        migrations.AddField(
            model_name="unit",
            name="files",
            field=models.JSONField(
                blank=True, db_default={}, help_text="By name: hash, size and media type of each blob."
            ),
        ),
    ]
