import clustercore.jobs.domain.lifecycle
import django.db.models.deletion
from django.db import migrations, models

# How long a unit took decides its bucket: how many of these bounds (seconds; domain/counters.py) are below that. What an
# engine says of itself must never keep a result from being taken: what is no number counts as none, and no sum can
# overflow.
SECONDS = "least(greatest((a.served_by -> 'seconds')::numeric, 0), 1e9)"
SOUND = """CASE WHEN jsonb_typeof(a.served_by -> 'audio_seconds') = 'number'
    THEN least(greatest((a.served_by -> 'audio_seconds')::numeric, 0), 1e9) ELSE 0 END"""
BUCKET = f"""(SELECT count(*) FROM unnest(ARRAY[0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800]) bound
    WHERE bound < {SECONDS})"""
COUNTED = "jsonb_typeof({a}.served_by -> 'engine') = 'string' AND jsonb_typeof({a}.served_by -> 'seconds') = 'number'"
ENGINE = "left(a.served_by ->> 'engine', 200)"

# One of the rows of this kind, engine and bucket that nobody has locked is added to, and where all are, one is added:
# a transaction that lasts keeps nobody waiting. There are never more of them than transactions were open at once.
ADD = f"""
CREATE FUNCTION jobs_add_work_done() RETURNS trigger LANGUAGE plpgsql AS $function$
DECLARE
    done record;
BEGIN
    SELECT j.kind, {ENGINE} AS engine, {BUCKET} AS bucket,
           round({SECONDS} * 1000000)::bigint AS microseconds, round({SOUND} * 1000000)::bigint AS sound_microseconds
    INTO done
    FROM (SELECT NEW.served_by) AS a, jobs_unit u JOIN jobs_job j ON j.id = u.job_id WHERE u.id = NEW.unit_id;
    UPDATE jobs_workdone w
    SET units = w.units + 1, microseconds = w.microseconds + done.microseconds,
        sound_microseconds = w.sound_microseconds + done.sound_microseconds
    WHERE w.id = (SELECT id FROM jobs_workdone
                  WHERE kind = done.kind AND engine = done.engine AND bucket = done.bucket
                  LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO jobs_workdone (kind, engine, bucket, units, microseconds, sound_microseconds)
        VALUES (done.kind, done.engine, done.bucket, 1, done.microseconds, done.sound_microseconds);
    END IF;
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_add_work_done AFTER UPDATE OF outcome ON jobs_attempt FOR EACH ROW
    WHEN (NEW.outcome = 'done' AND OLD.outcome <> 'done' AND {COUNTED.format(a="NEW")})
    EXECUTE FUNCTION jobs_add_work_done();
"""
REMOVE = """
DROP TRIGGER jobs_add_work_done ON jobs_attempt;
DROP FUNCTION jobs_add_work_done();
"""
# The trigger's lock keeps every other transaction from ending an attempt until this one has counted those before.
COUNT = f"""
INSERT INTO jobs_workdone (kind, engine, bucket, units, microseconds, sound_microseconds)
SELECT kind, engine, bucket, sum(units), sum(microseconds), sum(sound_microseconds) FROM (
    SELECT j.kind, {ENGINE} AS engine, {BUCKET} AS bucket, 1 AS units,
           round({SECONDS} * 1000000)::bigint AS microseconds, round({SOUND} * 1000000)::bigint AS sound_microseconds
    FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id JOIN jobs_job j ON j.id = u.job_id
    WHERE a.outcome = 'done' AND {COUNTED.format(a="a")}
    UNION ALL
    SELECT split_part(name, '/', 2), split_part(name, '/', 3),
           CASE WHEN split_part(name, '/', 4) IN ('ms', 'sound_ms') THEN 0 ELSE split_part(name, '/', 4)::int END,
           CASE WHEN split_part(name, '/', 4) IN ('ms', 'sound_ms') THEN 0 ELSE value END,
           CASE WHEN split_part(name, '/', 4) = 'ms' THEN value * 1000 ELSE 0 END,
           CASE WHEN split_part(name, '/', 4) = 'sound_ms' THEN value * 1000 ELSE 0 END
    FROM jobs_counter WHERE name LIKE 'units.removed/%'
) counted GROUP BY kind, engine, bucket;

DELETE FROM jobs_counter WHERE name LIKE 'units.removed/%';
"""

# By the statement, so that one that changes thousands of jobs changes a few rows, once. As above nobody waits for a row.
KEEP_COUNTS = """
CREATE FUNCTION jobs_count_jobs() RETURNS trigger LANGUAGE plpgsql AS $function$
DECLARE
    changed record;
BEGIN
    FOR changed IN EXECUTE CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT owner_id, shared, state, count(*) AS jobs FROM came GROUP BY 1, 2, 3'
        WHEN 'DELETE' THEN 'SELECT owner_id, shared, state, -count(*) AS jobs FROM went GROUP BY 1, 2, 3'
        ELSE 'SELECT owner_id, shared, state, sum(jobs) AS jobs FROM (
                  SELECT owner_id, shared, state, 1 AS jobs FROM came
                  UNION ALL SELECT owner_id, shared, state, -1 FROM went) moved
              GROUP BY 1, 2, 3 HAVING sum(jobs) <> 0' END
    LOOP
        UPDATE jobs_jobcount c SET jobs = c.jobs + changed.jobs
        WHERE c.id = (SELECT id FROM jobs_jobcount
                      WHERE owner IS NOT DISTINCT FROM changed.owner_id AND shared = changed.shared
                        AND state = changed.state
                      LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);
        IF NOT FOUND THEN
            INSERT INTO jobs_jobcount (owner, shared, state, jobs)
            VALUES (changed.owner_id, changed.shared, changed.state, changed.jobs);
        END IF;
    END LOOP;
    RETURN NULL;
END $function$;

CREATE TRIGGER jobs_count_new AFTER INSERT ON jobs_job REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_count_jobs();
CREATE TRIGGER jobs_count_changed AFTER UPDATE ON jobs_job REFERENCING NEW TABLE AS came OLD TABLE AS went
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_count_jobs();
CREATE TRIGGER jobs_count_removed AFTER DELETE ON jobs_job REFERENCING OLD TABLE AS went
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_count_jobs();

INSERT INTO jobs_jobcount (owner, shared, state, jobs)
SELECT owner_id, shared, state, count(*) FROM jobs_job GROUP BY 1, 2, 3;
"""
FORGET_COUNTS = """
DROP TRIGGER jobs_count_new ON jobs_job;
DROP TRIGGER jobs_count_changed ON jobs_job;
DROP TRIGGER jobs_count_removed ON jobs_job;
DROP FUNCTION jobs_count_jobs();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0017_changed"),
    ]

    operations = [
        migrations.CreateModel(
            name="WorkDone",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("engine", models.CharField(max_length=200)),
                (
                    "bucket",
                    models.SmallIntegerField(help_text="How long they took: the place of the bound in `UNIT_BUCKETS`."),
                ),
                ("units", models.BigIntegerField()),
                ("microseconds", models.BigIntegerField(help_text="Of work.")),
                ("sound_microseconds", models.BigIntegerField()),
            ],
            options={
                "verbose_name_plural": "work done",
            },
        ),
        migrations.CreateModel(
            name="JobCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "owner",
                    models.BigIntegerField(
                        help_text="The number of the account; empty where nobody owns them.", null=True
                    ),
                ),
                ("shared", models.BooleanField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("paused", "paused"),
                            ("done", "done"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=12,
                    ),
                ),
                ("jobs", models.BigIntegerField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name="attempt",
            name="attempt_by_ended",
        ),
        migrations.AlterField(
            model_name="job",
            name="state",
            field=models.CharField(
                choices=[
                    ("running", "running"),
                    ("paused", "paused"),
                    ("done", "done"),
                    ("failed", "failed"),
                    ("cancelled", "cancelled"),
                ],
                default=clustercore.jobs.domain.lifecycle.JobState["RUNNING"],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="jobevent",
            name="job",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="events", to="jobs.job"
            ),
        ),
        migrations.AlterField(
            model_name="jobevent",
            name="unit",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="jobs.unit",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(condition=models.Q(("outcome", "done")), fields=["ended"], name="attempt_done_by_end"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("state__in", ["running", "paused"])),
                fields=["-priority", "id"],
                name="job_open_in_order",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("state__in", ["done", "cancelled"])),
                fields=["-finished", "-id"],
                name="job_ended_by_time",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("state", "failed")), fields=["-finished"], name="job_failed_by_time"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("state__in", ["failed", "cancelled"])), fields=["state", "-id"], name="job_broken"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(condition=models.Q(("shared", True)), fields=["-finished"], name="job_shared_by_time"),
        ),
        migrations.AddField(
            model_name="job",
            name="shortened",
            field=models.DateTimeField(
                blank=True,
                help_text="When its story, and the tries that came to nothing, were removed.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("finished__isnull", False),
                    models.Q(("shortened", None), ("shortened__lt", models.F("finished")), _connector="OR"),
                ),
                fields=["finished"],
                name="job_to_be_shortened",
            ),
        ),
        migrations.AddIndex(
            model_name="jobevent",
            index=models.Index(condition=models.Q(("unit__isnull", False)), fields=["unit"], name="event_by_unit"),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(
                condition=models.Q(("state__in", ["blocked", "queued", "leased", "held"])),
                fields=["job", "state"],
                name="unit_open_by_job",
            ),
        ),
        migrations.AddIndex(
            model_name="unit",
            index=models.Index(condition=models.Q(("state", "dead")), fields=["job"], name="unit_dead_by_job"),
        ),
        migrations.AddIndex(
            model_name="workdone",
            index=models.Index(fields=["kind", "engine", "bucket"], name="work_done_by_bucket"),
        ),
        migrations.RunSQL(ADD, REMOVE),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
        migrations.RunSQL(KEEP_COUNTS, FORGET_COUNTS),
    ]
