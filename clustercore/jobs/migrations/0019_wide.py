"""A job of very many units is counted, and its units are walked in order, from one index."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0018_history")]

    operations = [
        # After one job of very many units the planner would take every job to be like it, and read the whole table for
        # any: it is told that one unit in fifty begins another job.
        migrations.RunSQL(
            "ALTER TABLE jobs_unit ALTER COLUMN job_id SET (n_distinct = -0.02); ANALYZE jobs_unit (job_id)",
            "ALTER TABLE jobs_unit ALTER COLUMN job_id RESET (n_distinct)",
        ),
        migrations.RemoveIndex(model_name="unit", name="unit_by_job_and_state"),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                fields=["job", "state", "stage", "ordinal"], include=["weight"], name="unit_by_job_and_state"
            ),
        ),
    ]
