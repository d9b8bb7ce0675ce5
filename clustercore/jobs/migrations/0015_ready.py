import django.db.models.deletion
from django.db import migrations, models

# What a row of jobs_demand is compared by, in `d`, with what is `asked`.
SAME = """(d.kind, d.stage, d.contract, d.capability, d.ranked, d.engine, d.model, d.critical_accuracy)
        = (asked.kind, asked.stage, asked.contract, asked.capability, asked.ranked, asked.engine, asked.model,
           asked.critical_accuracy)
      AND d.language IS NOT DISTINCT FROM asked.language AND d.min_rung IS NOT DISTINCT FROM asked.min_rung"""

# What units of a job ask of a node, as a row of jobs_demand without its number. The rung of what is not ranked counts
# for nothing, nor does anything else that the job asks of a model. The floor is that of jobs/domain/floor.py: what
# somebody asked for, else what was decided; NULL before that.
DEMAND_OF = """
CREATE FUNCTION jobs_demand_of(
    of_job bigint, of_stage text, of_contract smallint, needs text, is_ranked boolean
) RETURNS jobs_demand LANGUAGE plpgsql AS $function$
DECLARE
    asked jobs_demand;
BEGIN
    SELECT NULL, j.kind, of_stage, of_contract, needs, is_ranked,
           CASE WHEN is_ranked THEN j.engine ELSE '' END,
           CASE WHEN is_ranked THEN j.model ELSE '' END,
           CASE WHEN is_ranked THEN j.language ELSE '' END,
           CASE WHEN is_ranked THEN lowest.rung ELSE 0 END,
           is_ranked AND lowest.rung IS NULL AND j.critical_accuracy
    INTO asked
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
            (kind, stage, contract, capability, ranked, engine, model, language, min_rung, critical_accuracy)
        VALUES (asked.kind, asked.stage, asked.contract, asked.capability, asked.ranked, asked.engine, asked.model,
                asked.language, asked.min_rung, asked.critical_accuracy)
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
    of_job bigint, of_stage text, of_contract smallint, needs text, is_ranked boolean, due timestamptz
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    me bigint := pg_current_xact_id()::text::bigint;
    asked jobs_demand;
BEGIN
    IF EXISTS (
        SELECT FROM jobs_ready r JOIN jobs_demand d ON d.id = r.demand_id
        WHERE r.job_id = of_job AND r.queued_by = me AND r.due_at <= due AND d.stage = of_stage
          AND d.contract = of_contract AND d.capability = needs AND d.ranked = is_ranked
    ) THEN
        RETURN;
    END IF;
    asked := jobs_demand_of(of_job, of_stage, of_contract, needs, is_ranked);
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
        SELECT u.stage, u.contract, u.capability, u.ranked, min(coalesce(u.run_after, now())) AS due
        FROM jobs_unit u WHERE u.job_id = of_job AND u.state = 'queued'
        GROUP BY u.stage, u.contract, u.capability, u.ranked
    LOOP
        PERFORM jobs_make_ready(
            of_job, of_units.stage, of_units.contract, of_units.capability, of_units.ranked, of_units.due);
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
        SELECT a.job_id, a.stage, a.contract, a.capability, a.ranked, min(coalesce(a.run_after, now())) AS due
        FROM added a WHERE a.state = 'queued' GROUP BY a.job_id, a.stage, a.contract, a.capability, a.ranked
    LOOP
        PERFORM jobs_make_ready(
            of_units.job_id, of_units.stage, of_units.contract, of_units.capability, of_units.ranked, of_units.due);
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
        NEW.job_id, NEW.stage, NEW.contract, NEW.capability, NEW.ranked, coalesce(NEW.run_after, now()));
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_unit_queued AFTER UPDATE ON jobs_unit FOR EACH ROW
    WHEN (NEW.state = 'queued' AND (
        OLD.state <> 'queued'
        OR coalesce(NEW.run_after < OLD.run_after, NEW.run_after IS NULL AND OLD.run_after IS NOT NULL)
        OR (OLD.stage, OLD.contract, OLD.capability, OLD.ranked)
            IS DISTINCT FROM (NEW.stage, NEW.contract, NEW.capability, NEW.ranked)))
    EXECUTE FUNCTION jobs_unit_queued();
"""

# What a job asks may change while its units wait: its language is heard, its floor is decided or falls.
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
        SELECT r.demand_id, r.due_at, d.stage, d.contract, d.capability, d.ranked
        FROM jobs_ready r JOIN jobs_demand d ON d.id = r.demand_id
        WHERE r.job_id = NEW.id AND (d.ranked OR d.kind <> NEW.kind)
    LOOP
        PERFORM jobs_move_ready(
            NEW.id, before.demand_id, before.stage, before.contract, before.capability, before.ranked, before.due_at);
    END LOOP;
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_job_changed AFTER UPDATE ON jobs_job FOR EACH ROW
    WHEN ((OLD.state = 'running' OR NEW.state = 'running') AND
        (OLD.state, OLD.priority, OLD.kind, OLD.engine, OLD.model, OLD.language, OLD.min_rung, OLD.floor,
         OLD.critical_accuracy, OLD.accept_lower_after)
        IS DISTINCT FROM
        (NEW.state, NEW.priority, NEW.kind, NEW.engine, NEW.model, NEW.language, NEW.min_rung, NEW.floor,
         NEW.critical_accuracy, NEW.accept_lower_after))
    EXECUTE FUNCTION jobs_job_changed();
"""
MOVE_READY = """
CREATE FUNCTION jobs_move_ready(
    of_job bigint, of_demand bigint, of_stage text, of_contract smallint, needs text, is_ranked boolean, due timestamptz
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    asked jobs_demand := jobs_demand_of(of_job, of_stage, of_contract, needs, is_ranked);
BEGIN
    IF jobs_demand_row(asked) = of_demand THEN
        RETURN;
    END IF;
    DELETE FROM jobs_ready WHERE job_id = of_job AND demand_id = of_demand;
    PERFORM jobs_make_ready(of_job, of_stage, of_contract, needs, is_ranked, due);
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

# The list changes with every unit, in few pages: they are to be cleaned before they are many. A claim passes over what
# was taken before it in a job's part of the index, until that is cleaned.
STORAGE = """
ALTER TABLE jobs_ready SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 500);
ALTER TABLE jobs_unit SET (autovacuum_vacuum_scale_factor = 0.05);
"""
STORAGE_OF_BEFORE = "ALTER TABLE jobs_unit RESET (autovacuum_vacuum_scale_factor)"
# At the end: a table with rows whose references are still to be checked cannot be changed.
FILLED = "SELECT jobs_make_ready_again(id) FROM jobs_job WHERE state = 'running';"


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0014_floor"),
        ("nodes", "0004_protocol"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="unit", name="unit_queued_in_order"),
        # The column stays for now: a worker of the version before writes it as it hands back what it had in hand.
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("unit", "min_rung")]),
        migrations.AlterField(
            model_name="attempt",
            name="unit",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="attempts",
                to="jobs.unit",
            ),
        ),
        migrations.AlterField(
            model_name="unit",
            name="avoid_node",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="nodes.node",
            ),
        ),
        migrations.AlterField(
            model_name="unit",
            name="job",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="units",
                to="jobs.job",
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("state", "queued")),
                fields=["job", "stage", "capability", "contract", "ranked", "-priority", "id"],
                name="unit_queued_by_demand",
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("avoid_node__isnull", False)), fields=["avoid_node"], name="unit_by_avoided_node"
            ),
        ),
        migrations.CreateModel(
            name="Demand",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("stage", models.CharField(max_length=40)),
                ("contract", models.SmallIntegerField()),
                ("capability", models.CharField(max_length=40)),
                ("ranked", models.BooleanField()),
                ("engine", models.CharField(blank=True, max_length=60)),
                ("model", models.CharField(blank=True, max_length=200)),
                (
                    "language",
                    models.CharField(blank=True, help_text="NULL while it is not known.", max_length=12, null=True),
                ),
                (
                    "min_rung",
                    models.SmallIntegerField(blank=True, help_text="NULL while no floor is decided.", null=True),
                ),
                (
                    "critical_accuracy",
                    models.BooleanField(help_text="False where the floor is decided: it counts only before."),
                ),
                (
                    "unused_since",
                    models.DateTimeField(blank=True, help_text="Since when no work waits that asks for it.", null=True),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "kind",
                            "stage",
                            "contract",
                            "capability",
                            "ranked",
                            "engine",
                            "model",
                            "language",
                            "min_rung",
                            "critical_accuracy",
                        ),
                        name="one_row_per_demand",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Ready",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "job_id", "demand_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ready",
                        to="jobs.job",
                    ),
                ),
                (
                    "demand",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ready",
                        to="jobs.demand",
                    ),
                ),
                ("priority", models.SmallIntegerField(help_text="The job's.")),
                ("is_due", models.BooleanField(help_text="Whether any unit of it may be begun now.")),
                ("due_at", models.DateTimeField()),
                ("queued_by", models.BigIntegerField(help_text="The transaction that last queued a unit of it.")),
            ],
            options={
                "verbose_name_plural": "ready work",
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_due", True)),
                        fields=["demand", "-priority", "job"],
                        name="ready_in_order",
                    ),
                    models.Index(condition=models.Q(("is_due", False)), fields=["due_at"], name="ready_later"),
                ],
            },
        ),
        migrations.RunSQL(STORAGE, STORAGE_OF_BEFORE),
        migrations.RunSQL(DEFINITIONS, REMOVED),
        migrations.RunSQL(FILLED, migrations.RunSQL.noop),
    ]
