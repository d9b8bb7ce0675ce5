import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0006_request_digest")]

    operations = [
        migrations.CreateModel(
            name="JobBlob",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha256", models.CharField(max_length=64)),
                (
                    "job",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="blobs", to="jobs.job"),
                ),
                (
                    "unit",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="blobs",
                        to="jobs.unit",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["sha256"], name="reference_by_blob")],
                "constraints": [
                    models.UniqueConstraint(fields=("unit", "sha256"), name="one_reference_per_unit_and_blob")
                ],
            },
        ),
    ]
