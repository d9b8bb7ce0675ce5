import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blobs", "0002_upload")]

    operations = [
        migrations.AddField(
            model_name="blob",
            name="stamped",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                help_text="When somebody last stored it, or found it stored.",
            ),
        ),
    ]
