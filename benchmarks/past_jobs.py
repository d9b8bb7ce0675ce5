"""A ledger with a past: jobs that are over, with their units, attempts and stories, written in bulk.

They are spread over a year, the last of them over the last hours, as a cluster that is in use leaves them.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import Max

from clustercore.jobs.domain.kinds import JobKind
from clustercore.jobs.models import Job

EVERY_SECONDS = 315
"""Between one job and the next: a hundred thousand of them are a year."""
# One in fifty failed, as one of these causes did.
_JOBS = """
INSERT INTO jobs_job (kind, title, state, stage, priority, shared, parameters, critical_accuracy, engine, model, error,
                      waiting, created, finished, request_digest)
SELECT %(kind)s, 'recording ' || n || '.flac', CASE WHEN mod(n, 50) = 0 THEN 'failed' ELSE 'done' END, %(stage)s, 0,
       false, '{}', false, '', '', CASE WHEN mod(n, 50) = 0 THEN 'piece ' || n || ': no memory' ELSE '' END, '',
       now() - (%(jobs)s + 1 - n) * %(every)s * interval '1 second',
       now() - (%(jobs)s + 1 - n) * %(every)s * interval '1 second' + interval '1 minute', ''
FROM generate_series(1, %(jobs)s) AS n
"""
_UNITS = """
INSERT INTO jobs_unit (job_id, stage, ordinal, capability, ranked, payload, weight, state, attempts_made, failures,
                       strikes, excluded_nodes, progress, error, hold_reason, created, finished, result)
SELECT j.id, %(stage)s, n, 'media', false, '{"start": 0, "end": 960000}', 30, j.state, 1, 0, 0, '{}', 1, '', '',
       j.created, j.finished, '{"ordinal": 1}'
FROM jobs_job j CROSS JOIN generate_series(1, %(units)s) AS n WHERE j.id > %(after)s
ORDER BY j.id, n
"""
_ATTEMPTS = """
INSERT INTO jobs_attempt (unit_id, number, node_name, instance, boot_id, outcome, lease_until, started, ended, reason,
                          served_by, fenced_results)
SELECT u.id, 1, 'node ' || mod(u.id, 4), gen_random_uuid(), '', u.state, u.finished, u.created, u.finished, '',
       jsonb_build_object('engine', 'engine-' || mod(u.id, 3), 'model', 'small', 'rung', 3,
                          'seconds', (mod(u.id, 2000)) / 10.0, 'audio_seconds', (mod(u.id, 600))), 0
FROM jobs_unit u WHERE u.job_id > %(after)s ORDER BY u.id
"""
_EVENTS = """
INSERT INTO jobs_jobevent (job_id, at, name, text, node_name)
SELECT j.id, CASE WHEN n = 1 THEN j.created ELSE j.finished END, CASE WHEN n = 1 THEN 'submitted' ELSE j.state END,
       'told', ''
FROM jobs_job j CROSS JOIN generate_series(1, 2) AS n WHERE j.id > %(after)s ORDER BY j.id, n
"""

# The sums that the database keeps of attempts as they end: these were written as they are when they have ended.
_WORK_DONE = """
INSERT INTO jobs_workdone (kind, engine, bucket, units, microseconds, sound_microseconds)
SELECT %(kind)s, 'engine-' || mod(id, 3), mod(id, 12), count(*), count(*) * 100000000, count(*) * 300000000
FROM jobs_unit WHERE job_id > %(after)s GROUP BY 2, 3
"""


def fill_past(kind: JobKind, jobs: int, units_of_a_job: int) -> None:
    """Writes that many jobs that are over, with units of the kind's main stage, and tells the planner of them.

    Must run outside a transaction.
    """
    last = Job.objects.aggregate(last=Max("id"))["last"] or 0
    wanted: dict[str, Any] = {"kind": kind.name, "stage": kind.main_stage, "jobs": jobs, "every": EVERY_SECONDS}
    with connection.cursor() as cursor:
        for statement in (_JOBS, _UNITS, _ATTEMPTS, _EVENTS, _WORK_DONE):
            cursor.execute(statement, wanted | {"after": last, "units": units_of_a_job})
    tell_planner()


def tell_planner() -> None:
    """Lets the database see how large the ledger is, as its own upkeep does sooner or later."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE jobs_job, jobs_unit, jobs_attempt, jobs_jobevent, jobs_jobcount, jobs_workdone")
