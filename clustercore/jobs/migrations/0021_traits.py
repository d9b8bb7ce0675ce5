"""What work needs of a model, and what it prefers, in place of its language."""

import django.contrib.postgres.fields
from django.db import migrations, models

# What a row of jobs_demand is compared by, in `d`, with what is `asked`.
SAME = """(d.kind, d.stage, d.contract, d.capability, d.ranked, d.engine, d.model, d.critical_accuracy)
        = (asked.kind, asked.stage, asked.contract, asked.capability, asked.ranked, asked.engine, asked.model,
           asked.critical_accuracy)
      AND (d.needs, d.prefers) = (asked.needs, asked.prefers)
      AND d.job_needs IS NOT DISTINCT FROM asked.job_needs AND d.min_rung IS NOT DISTINCT FROM asked.min_rung"""

# What units of a job ask of a node, as a row of jobs_demand without its number. The rung of what is not ranked counts
# for nothing, nor does anything else that the job asks of a model. The floor is that of jobs/domain/floor.py: what
# somebody asked for, else what was decided; NULL before that.
DEMAND_OF = """
CREATE FUNCTION jobs_demand_of(
    of_job bigint, of_stage text, of_contract smallint, asks text, is_ranked boolean, of_needs text[],
    of_prefers text[]
) RETURNS jobs_demand LANGUAGE plpgsql AS $function$
DECLARE
    asked jobs_demand;
BEGIN
    SELECT j.kind, of_stage, of_contract, asks, is_ranked, of_needs, of_prefers,
           CASE WHEN is_ranked THEN j.engine ELSE '' END,
           CASE WHEN is_ranked THEN j.model ELSE '' END,
           CASE WHEN is_ranked THEN j.needs ELSE '{}' END,
           CASE WHEN is_ranked THEN lowest.rung ELSE 0 END,
           is_ranked AND lowest.rung IS NULL AND j.critical_accuracy
    INTO asked.kind, asked.stage, asked.contract, asked.capability, asked.ranked, asked.needs, asked.prefers,
         asked.engine, asked.model, asked.job_needs, asked.min_rung, asked.critical_accuracy
    FROM jobs_job j CROSS JOIN LATERAL (
        SELECT coalesce(
            j.min_rung, CASE WHEN j.engine <> '' THEN 0 END,
            CASE WHEN j.created + least(j.accept_lower_after, 1e9) * interval '1 second' <= now() THEN 0 END, j.floor
        ) AS rung
    ) lowest
    WHERE j.id = of_job;
    RETURN asked;
END $function$;
"""

# The number of a demand's row, which is made where there is none. The lock keeps whoever removes unused demands from it
# until the row of jobs_ready that names it is there; updates are not kept from it.
DEMAND_ROW = f"""
CREATE FUNCTION jobs_demand_row(asked jobs_demand) RETURNS bigint LANGUAGE plpgsql AS $function$
DECLARE
    found_id bigint;
BEGIN
    LOOP
        SELECT d.id INTO found_id FROM jobs_demand d WHERE {SAME} FOR KEY SHARE;
        EXIT WHEN FOUND;
        INSERT INTO jobs_demand
            (kind, stage, contract, capability, ranked, engine, model, needs, prefers, job_needs, min_rung,
             critical_accuracy)
        VALUES (asked.kind, asked.stage, asked.contract, asked.capability, asked.ranked, asked.engine, asked.model,
                asked.needs, asked.prefers, asked.job_needs, asked.min_rung, asked.critical_accuracy)
        ON CONFLICT DO NOTHING RETURNING id INTO found_id;
        EXIT WHEN FOUND;
    END LOOP;
    RETURN found_id;
END $function$;
"""

# Notes that units were queued. `queued_by` is what keeps them: whoever removes the row because nothing was queued any
# more compares it with what it saw, on the row's newest version, so that a transaction which queues meanwhile is never
# passed over. For the same reason it is written although the row is there, but only once in a transaction: 100,000
# units that are queued one by one cost one look each. Whether the job runs is not asked: the sweep queues what was lost
# without the job's lock, and a claim asks it anyway.
MAKE_READY = f"""
CREATE FUNCTION jobs_make_ready(
    of_job bigint, of_stage text, of_contract smallint, asks text, is_ranked boolean, of_needs text[],
    of_prefers text[], due timestamptz
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    me bigint := pg_current_xact_id()::text::bigint;
    asked jobs_demand;
BEGIN
    IF EXISTS (
        SELECT FROM jobs_ready r JOIN jobs_demand d ON d.id = r.demand_id
        WHERE r.job_id = of_job AND r.queued_by = me AND r.due_at <= due AND d.stage = of_stage
          AND d.contract = of_contract AND d.capability = asks AND d.ranked = is_ranked
          AND d.needs = of_needs AND d.prefers = of_prefers
    ) THEN
        RETURN;
    END IF;
    asked := jobs_demand_of(of_job, of_stage, of_contract, asks, is_ranked, of_needs, of_prefers);
    UPDATE jobs_ready r
    SET queued_by = me, due_at = least(r.due_at, due), is_due = r.is_due OR due <= now(), priority = j.priority
    FROM jobs_demand d, jobs_job j WHERE r.job_id = of_job AND r.demand_id = d.id AND j.id = of_job AND {SAME};
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO jobs_ready (job_id, demand_id, priority, is_due, due_at, queued_by)
    SELECT of_job, jobs_demand_row(asked), j.priority, due <= now(), due, me FROM jobs_job j WHERE j.id = of_job
    ON CONFLICT (job_id, demand_id) DO UPDATE
    SET queued_by = me, due_at = least(jobs_ready.due_at, due), is_due = jobs_ready.is_due OR due <= now();
END $function$;
"""

# All rows of one job, from its queued units.
MAKE_READY_AGAIN = """
CREATE FUNCTION jobs_make_ready_again(of_job bigint) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    of_units record;
BEGIN
    FOR of_units IN
        SELECT u.stage, u.contract, u.capability, u.ranked, u.needs, u.prefers,
               min(coalesce(u.run_after, now())) AS due
        FROM jobs_unit u WHERE u.job_id = of_job AND u.state = 'queued'
        GROUP BY u.stage, u.contract, u.capability, u.ranked, u.needs, u.prefers
    LOOP
        PERFORM jobs_make_ready(
            of_job, of_units.stage, of_units.contract, of_units.capability, of_units.ranked, of_units.needs,
            of_units.prefers, of_units.due);
    END LOOP;
END $function$;
"""

# However many are inserted by a statement: one look at all of them.
UNITS_ADDED = """
CREATE FUNCTION jobs_units_added() RETURNS trigger LANGUAGE plpgsql AS $function$
DECLARE
    of_units record;
BEGIN
    FOR of_units IN
        SELECT a.job_id, a.stage, a.contract, a.capability, a.ranked, a.needs, a.prefers,
               min(coalesce(a.run_after, now())) AS due
        FROM added a WHERE a.state = 'queued'
        GROUP BY a.job_id, a.stage, a.contract, a.capability, a.ranked, a.needs, a.prefers
    LOOP
        PERFORM jobs_make_ready(
            of_units.job_id, of_units.stage, of_units.contract, of_units.capability, of_units.ranked, of_units.needs,
            of_units.prefers, of_units.due);
    END LOOP;
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_units_added AFTER INSERT ON jobs_unit REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_units_added();
"""

# By row, because its condition spares claims and results, the most frequent changes, every call.
UNIT_QUEUED = """
CREATE FUNCTION jobs_unit_queued() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM jobs_make_ready(
        NEW.job_id, NEW.stage, NEW.contract, NEW.capability, NEW.ranked, NEW.needs, NEW.prefers,
        coalesce(NEW.run_after, now()));
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_unit_queued AFTER UPDATE ON jobs_unit FOR EACH ROW
    WHEN (NEW.state = 'queued' AND (
        OLD.state <> 'queued'
        OR coalesce(NEW.run_after < OLD.run_after, NEW.run_after IS NULL AND OLD.run_after IS NOT NULL)
        OR (OLD.stage, OLD.contract, OLD.capability, OLD.ranked, OLD.needs, OLD.prefers)
            IS DISTINCT FROM (NEW.stage, NEW.contract, NEW.capability, NEW.ranked, NEW.needs, NEW.prefers)))
    EXECUTE FUNCTION jobs_unit_queued();
"""

# What a job asks may change while its units wait: its needs come to be known, its floor is decided or falls.
JOB_CHANGED = """
CREATE FUNCTION jobs_job_changed() RETURNS trigger LANGUAGE plpgsql AS $function$
DECLARE
    before record;
BEGIN
    IF NEW.state <> 'running' THEN
        DELETE FROM jobs_ready WHERE job_id = NEW.id;
        RETURN NULL;
    END IF;
    UPDATE jobs_ready SET priority = NEW.priority WHERE job_id = NEW.id AND priority <> NEW.priority;
    IF OLD.state <> 'running' THEN
        PERFORM jobs_make_ready_again(NEW.id);
        RETURN NULL;
    END IF;
    FOR before IN
        SELECT r.demand_id, r.due_at, d.stage, d.contract, d.capability, d.ranked, d.needs, d.prefers
        FROM jobs_ready r JOIN jobs_demand d ON d.id = r.demand_id
        WHERE r.job_id = NEW.id AND (d.ranked OR d.kind <> NEW.kind)
    LOOP
        PERFORM jobs_move_ready(
            NEW.id, before.demand_id, before.stage, before.contract, before.capability, before.ranked, before.needs,
            before.prefers, before.due_at);
    END LOOP;
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_job_changed AFTER UPDATE ON jobs_job FOR EACH ROW
    WHEN ((OLD.state = 'running' OR NEW.state = 'running') AND
        (OLD.state, OLD.priority, OLD.kind, OLD.engine, OLD.model, OLD.needs, OLD.min_rung, OLD.floor,
         OLD.critical_accuracy, OLD.accept_lower_after)
        IS DISTINCT FROM
        (NEW.state, NEW.priority, NEW.kind, NEW.engine, NEW.model, NEW.needs, NEW.min_rung, NEW.floor,
         NEW.critical_accuracy, NEW.accept_lower_after))
    EXECUTE FUNCTION jobs_job_changed();
"""
MOVE_READY = """
CREATE FUNCTION jobs_move_ready(
    of_job bigint, of_demand bigint, of_stage text, of_contract smallint, asks text, is_ranked boolean,
    of_needs text[], of_prefers text[], due timestamptz
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    asked jobs_demand := jobs_demand_of(of_job, of_stage, of_contract, asks, is_ranked, of_needs, of_prefers);
BEGIN
    IF jobs_demand_row(asked) = of_demand THEN
        RETURN;
    END IF;
    DELETE FROM jobs_ready WHERE job_id = of_job AND demand_id = of_demand;
    PERFORM jobs_make_ready(of_job, of_stage, of_contract, asks, is_ranked, of_needs, of_prefers, due);
END $function$;
"""
DEFINITIONS = "".join(
    (DEMAND_OF, DEMAND_ROW, MAKE_READY, MAKE_READY_AGAIN, MOVE_READY, UNITS_ADDED, UNIT_QUEUED, JOB_CHANGED)
)
REMOVED = """
DROP TRIGGER jobs_job_changed ON jobs_job;
DROP TRIGGER jobs_unit_queued ON jobs_unit;
DROP TRIGGER jobs_units_added ON jobs_unit;
DROP FUNCTION jobs_job_changed, jobs_unit_queued, jobs_units_added, jobs_move_ready, jobs_make_ready_again,
    jobs_make_ready, jobs_demand_row, jobs_demand_of;
"""

# The language was the only need that a job could have, and every ranked unit's.
FILLED = """
UPDATE jobs_job SET needs = CASE WHEN language = '' THEN '{}' WHEN language IS NOT NULL THEN ARRAY['lang:' || language] END
WHERE language IS DISTINCT FROM ''
"""
LISTED = "SELECT jobs_make_ready_again(id) FROM jobs_job WHERE state = 'running'"
_FIELDS = ("kind", "stage", "contract", "capability", "ranked", "engine", "model")


def traits(**options: object) -> django.contrib.postgres.fields.ArrayField:
    return django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None, **options)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0020_overdue"),
        ("nodes", "0005_traits"),
    ]

    operations = [
        migrations.RunSQL(REMOVED, migrations.RunSQL.noop),
        migrations.RunSQL("TRUNCATE jobs_ready, jobs_demand", migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="demand", name="one_row_per_demand"),
        migrations.RemoveField(model_name="demand", name="language"),
        migrations.AddField("demand", "needs", traits(default=list, db_default=[], help_text="The units' own.")),
        migrations.AddField("demand", "prefers", traits(default=list, db_default=[], help_text="The units' own.")),
        migrations.AddField(
            "demand", "job_needs", traits(null=True, help_text="The job's; NULL while they are not known.")
        ),
        migrations.AddConstraint(
            model_name="demand",
            constraint=models.UniqueConstraint(
                fields=(*_FIELDS, "needs", "prefers", "job_needs", "min_rung", "critical_accuracy"),
                name="one_row_per_demand",
                nulls_distinct=False,
            ),
        ),
        migrations.RemoveIndex(model_name="unit", name="unit_queued_by_demand"),
        migrations.AddField(
            "unit",
            "needs",
            traits(default=list, db_default=[], blank=True, help_text="Traits that the model must have."),
        ),
        migrations.AddField(
            "unit",
            "prefers",
            traits(
                default=list,
                db_default=[],
                blank=True,
                help_text="Traits that it must have too, unless no live node offers them.",
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("state", "queued")),
                fields=["job", "stage", "capability", "contract", "ranked", "needs", "prefers", "-priority", "id"],
                name="unit_queued_by_demand",
            ),
        ),
        migrations.AddField(
            "job",
            "needs",
            traits(
                null=True,
                blank=True,
                default=list,
                db_default=[],
                help_text="Traits that every model must have which serves its ranked units; NULL while they are not known.",
            ),
        ),
        migrations.RunSQL(FILLED, migrations.RunSQL.noop),
        migrations.RunSQL(DEFINITIONS, REMOVED),
        migrations.RunSQL(LISTED, migrations.RunSQL.noop),
    ]
