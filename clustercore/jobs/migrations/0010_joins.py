import clustercore.jobs.domain.joins
import clustercore.jobs.domain.lifecycle
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0009_order_of_work"),
        # No worker of before claims any more when the ledger begins to change.
        ("nodes", "0004_protocol"),
    ]

    operations = [
        migrations.CreateModel(
            name="UnitAfter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "stage",
                    models.CharField(blank=True, help_text="All of this stage, where no unit is named.", max_length=40),
                ),
                ("group", models.CharField(blank=True, max_length=60)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("open", "open"), ("done", "done"), ("closed", "closed")],
                        default=clustercore.jobs.domain.joins.InputOutcome["OPEN"],
                        max_length=8,
                    ),
                ),
            ],
        ),
        migrations.RemoveIndex(
            model_name="unit",
            name="unit_queued_by_job",
        ),
        migrations.AddField(
            model_name="job",
            name="gaps",
            field=models.PositiveIntegerField(db_default=0, help_text="Units without which it was done all the same."),
        ),
        migrations.AddField(
            model_name="job",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                help_text="The job for which this one is done; cancelling that cancels this.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="children",
                to="jobs.job",
            ),
        ),
        migrations.AddField(
            model_name="unit",
            name="deadline",
            field=models.DateTimeField(blank=True, help_text="After that it is not begun any more.", null=True),
        ),
        migrations.AddField(
            model_name="unit",
            name="done_inputs",
            field=models.PositiveIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="unit",
            name="group",
            field=models.CharField(
                db_default="", help_text="Units of one group can be waited for together.", max_length=60
            ),
        ),
        migrations.AddField(
            model_name="unit",
            name="join_until",
            field=models.DateTimeField(blank=True, help_text="Until then it waits for its inputs.", null=True),
        ),
        migrations.AddField(
            model_name="unit",
            name="open_inputs",
            field=models.PositiveIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="unit",
            name="priority",
            field=models.SmallIntegerField(db_default=0, help_text="Within its job; higher goes first."),
        ),
        migrations.AddField(
            model_name="unit",
            name="quorum",
            field=models.PositiveSmallIntegerField(
                blank=True, help_text="So many inputs are enough; empty: all that can be had.", null=True
            ),
        ),
        migrations.AddField(
            model_name="unit",
            name="unsent",
            field=models.BooleanField(
                db_default=True, help_text="No message is on its way that runs it once its inputs are closed."
            ),
        ),
        migrations.AlterField(
            model_name="unit",
            name="state",
            field=models.CharField(
                choices=[
                    ("blocked", "blocked"),
                    ("queued", "queued"),
                    ("leased", "leased"),
                    ("held", "held"),
                    ("done", "done"),
                    ("failed", "failed"),
                    ("cancelled", "cancelled"),
                    ("dead", "dead"),
                    ("skipped", "skipped"),
                    ("overdue", "overdue"),
                ],
                default=clustercore.jobs.domain.lifecycle.UnitState["QUEUED"],
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("state", "queued")), fields=["job", "-priority", "id"], name="unit_queued_in_order"
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("join_until__isnull", False), ("state", "blocked")),
                fields=["join_until"],
                name="unit_blocked_until",
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("deadline__isnull", False), ("state__in", ["blocked", "queued", "held"])),
                fields=["deadline"],
                name="unit_by_deadline",
            ),
        ),
        migrations.AddField(
            model_name="unitafter",
            name="after",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="jobs.unit"
            ),
        ),
        migrations.AddField(
            model_name="unitafter",
            name="job",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="jobs.job"),
        ),
        migrations.AddField(
            model_name="unitafter",
            name="unit",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="inputs", to="jobs.unit"),
        ),
    ]
