"""Which job is due at a time is read from a row for each, however many units are overdue in those that do not run."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

# Whoever removes or puts off a timer does it by all units of the job; whoever adds a time only brings it forward.
SET_TIMER = """
CREATE FUNCTION jobs_set_timer(of_job bigint, due timestamptz) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    INSERT INTO jobs_timer (job_id, kind, due_at)
    SELECT j.id, j.kind, due FROM jobs_job j WHERE j.id = of_job AND j.state = 'running' AND due IS NOT NULL
    ON CONFLICT (job_id) DO UPDATE SET due_at = excluded.due_at WHERE jobs_timer.due_at > excluded.due_at;
END $function$;
"""

# The row is locked first, so that the units are read as whoever had it in hand before has left them. What is in hand
# counts too, as a sweep may queue it again at any time without the job's lock; past its deadline it waits for that.
RESET_TIMER = """
CREATE FUNCTION jobs_reset_timer(of_job bigint) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    due timestamptz;
BEGIN
    PERFORM FROM jobs_timer WHERE job_id = of_job FOR UPDATE;
    SELECT least(
        (SELECT min(u.deadline) FROM jobs_unit u
         WHERE u.job_id = of_job AND u.state IN ('blocked', 'queued', 'held') AND u.deadline IS NOT NULL),
        (SELECT min(u.join_until) FROM jobs_unit u
         WHERE u.job_id = of_job AND u.state = 'blocked' AND u.join_until IS NOT NULL),
        (SELECT min(greatest(u.deadline, now() + interval '5 seconds')) FROM jobs_unit u
         WHERE u.job_id = of_job AND u.state = 'leased' AND u.deadline IS NOT NULL)
    ) INTO due FROM jobs_job j WHERE j.id = of_job AND j.state = 'running';
    IF due IS NULL THEN
        DELETE FROM jobs_timer WHERE job_id = of_job;
        RETURN;
    END IF;
    INSERT INTO jobs_timer (job_id, kind, due_at) SELECT j.id, j.kind, due FROM jobs_job j WHERE j.id = of_job
    ON CONFLICT (job_id) DO UPDATE SET due_at = excluded.due_at, kind = excluded.kind;
END $function$;
"""

UNITS_ADDED = """
CREATE FUNCTION jobs_timed_units_added() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM jobs_set_timer(timed.job_id, timed.due) FROM (
        SELECT a.job_id, min(least(a.deadline, CASE WHEN a.state = 'blocked' THEN a.join_until END)) AS due
        FROM added a WHERE a.deadline IS NOT NULL OR a.join_until IS NOT NULL
        GROUP BY a.job_id ORDER BY a.job_id
    ) timed;
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_timed_units_added AFTER INSERT ON jobs_unit REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_timed_units_added();
"""

# By row, because its condition spares what has no time, and claims and results, every call.
UNIT_TIMED = """
CREATE FUNCTION jobs_unit_timed() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM jobs_set_timer(
        NEW.job_id, least(NEW.deadline, CASE WHEN NEW.state = 'blocked' THEN NEW.join_until END));
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_unit_timed AFTER UPDATE ON jobs_unit FOR EACH ROW
    WHEN ((NEW.deadline IS NOT NULL OR NEW.join_until IS NOT NULL) AND NEW.state IN ('blocked', 'queued', 'held')
          AND (OLD.state, OLD.deadline, OLD.join_until) IS DISTINCT FROM (NEW.state, NEW.deadline, NEW.join_until))
    EXECUTE FUNCTION jobs_unit_timed();
"""

JOB_TIMED = """
CREATE FUNCTION jobs_job_timed() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF NEW.state = 'running' THEN
        PERFORM jobs_reset_timer(NEW.id);
    ELSE
        DELETE FROM jobs_timer WHERE job_id = NEW.id;
    END IF;
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_job_timed AFTER UPDATE ON jobs_job FOR EACH ROW
    WHEN ((OLD.state = 'running' OR NEW.state = 'running')
          AND (OLD.state, OLD.kind) IS DISTINCT FROM (NEW.state, NEW.kind))
    EXECUTE FUNCTION jobs_job_timed();
"""
DEFINITIONS = "".join((SET_TIMER, RESET_TIMER, UNITS_ADDED, UNIT_TIMED, JOB_TIMED))
REMOVED = """
DROP TRIGGER jobs_job_timed ON jobs_job;
DROP TRIGGER jobs_unit_timed ON jobs_unit;
DROP TRIGGER jobs_timed_units_added ON jobs_unit;
DROP FUNCTION jobs_job_timed, jobs_unit_timed, jobs_timed_units_added, jobs_reset_timer, jobs_set_timer;
"""
FILLED = "SELECT jobs_reset_timer(id) FROM jobs_job WHERE state = 'running';"


class Migration(migrations.Migration):
    dependencies = [("jobs", "0019_wide")]

    operations = [
        migrations.RemoveIndex(model_name="unit", name="unit_blocked_until"),
        migrations.RemoveIndex(model_name="unit", name="unit_by_deadline"),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("join_until__isnull", False), ("state", "blocked")),
                fields=["job", "join_until"],
                name="unit_by_job_and_join_until",
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("deadline__isnull", False), ("state__in", ["blocked", "queued", "held"])),
                fields=["job", "deadline"],
                name="unit_by_job_and_deadline",
            ),
        ),
        migrations.CreateModel(
            name="Timer",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                (
                    "kind",
                    models.CharField(help_text="The job's: nodes that do not know it pass over it.", max_length=40),
                ),
                ("due_at", models.DateTimeField()),
            ],
            options={"indexes": [models.Index(fields=["kind", "due_at"], name="timer_by_kind")]},
        ),
        migrations.RunSQL(DEFINITIONS, REMOVED),
        migrations.RunSQL(FILLED, migrations.RunSQL.noop),
    ]
