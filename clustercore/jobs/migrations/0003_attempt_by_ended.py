from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_owner")]

    operations = [
        migrations.AddIndex(
            model_name="attempt",
            index=BrinIndex(autosummarize=True, fields=["ended"], name="attempt_by_ended"),
        ),
    ]
