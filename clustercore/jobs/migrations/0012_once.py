import clustercore.jobs.domain.lifecycle
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0011_files"),
    ]

    operations = [
        migrations.AddField(
            model_name="unit",
            name="once",
            field=models.BooleanField(
                db_default=False, help_text="Nobody does it a second time unless a person says so."
            ),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("live", "live"),
                    ("done", "done"),
                    ("failed", "failed"),
                    ("retry", "retry"),
                    ("held", "held"),
                    ("expired", "expired"),
                    ("crashed", "crashed"),
                    ("handed_back", "handed back"),
                    ("cancelled", "cancelled"),
                    ("superseded", "superseded"),
                    ("unknown", "unknown"),
                ],
                default=clustercore.jobs.domain.lifecycle.AttemptOutcome["LIVE"],
                max_length=12,
            ),
        ),
        migrations.CreateModel(
            name="Question",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField()),
                (
                    "options",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), size=None),
                ),
                ("of_outcome", models.BooleanField(db_default=False, help_text="It asks whether the unit was done.")),
                (
                    "bound_to",
                    models.CharField(
                        blank=True,
                        db_default="",
                        help_text="Hash of the arguments that an approval is for.",
                        max_length=200,
                    ),
                ),
                (
                    "until",
                    models.DateTimeField(blank=True, help_text="Then the unit ends as `default` says.", null=True),
                ),
                ("default", models.CharField(blank=True, db_default="", max_length=4)),
                ("created", models.DateTimeField()),
                ("answer", models.CharField(blank=True, db_default="", max_length=40)),
                ("answered_by", models.CharField(blank=True, db_default="", max_length=200)),
                ("answered", models.DateTimeField(blank=True, null=True)),
                (
                    "withdrawn",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since then nobody needs to answer; at or after `until`: nobody did.",
                        null=True,
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="questions", to="jobs.job"
                    ),
                ),
                (
                    "unit",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="questions", to="jobs.unit"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("answer", ""), ("withdrawn", None)),
                        fields=["job"],
                        name="question_open_by_job",
                    ),
                    models.Index(
                        condition=models.Q(("answer", ""), ("withdrawn", None)),
                        fields=["until"],
                        name="question_open_by_until",
                    ),
                ],
            },
        ),
    ]
