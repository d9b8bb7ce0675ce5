"""Keeping the list of ready work: triggers and claims write it, and here what they leave behind is put right."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import connection, transaction

from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.selectors.eligibility import DUE, QUEUED, STILL_ASKED

logger = logging.getLogger(__name__)

TIDY_SECONDS, REPAIR_SECONDS = 10.0, 30.0
UNUSED_MINUTES = 60
"""For how long a demand that nothing asks for is kept: the next job asks for the same as a rule."""

# None of these waits for a row that somebody else has in hand: that is being kept right just now.
COME_DUE = StoredStatement(
    "jobs_come_due",
    parameters={},
    columns={"job_id": "bigint"},
    query="""
UPDATE jobs_ready r SET is_due = true
FROM (SELECT job_id, demand_id FROM jobs_ready WHERE NOT is_due AND due_at <= now() FOR UPDATE SKIP LOCKED) come
WHERE r.job_id = come.job_id AND r.demand_id = come.demand_id
RETURNING r.job_id
""",
)

# As in the claim: the row must still be of the transaction that was seen, or more has been queued since.
_LEFT_OVER = f"""
WITH seen AS MATERIALIZED (
    SELECT r.job_id, r.demand_id, r.queued_by, later.due_at
    FROM jobs_ready r JOIN jobs_demand d ON d.id = r.demand_id
    LEFT JOIN LATERAL {STILL_ASKED} asked ON true
    LEFT JOIN LATERAL (SELECT u.id FROM jobs_unit u WHERE {QUEUED} AND {DUE} LIMIT 1) due ON asked IS NOT NULL
    LEFT JOIN LATERAL (SELECT min(u.run_after) AS due_at FROM jobs_unit u WHERE {QUEUED}) later
        ON asked IS NOT NULL AND due.id IS NULL
    WHERE due.id IS NULL AND (r.is_due OR later.due_at IS NULL)
), mine AS MATERIALIZED (
    SELECT seen.* FROM seen JOIN jobs_ready r
        ON r.job_id = seen.job_id AND r.demand_id = seen.demand_id AND r.queued_by = seen.queued_by
    FOR UPDATE OF r SKIP LOCKED
), put_off AS (
    UPDATE jobs_ready r SET is_due = false, due_at = mine.due_at
    FROM mine WHERE r.job_id = mine.job_id AND r.demand_id = mine.demand_id AND mine.due_at IS NOT NULL
)
DELETE FROM jobs_ready r USING mine
WHERE r.job_id = mine.job_id AND r.demand_id = mine.demand_id AND mine.due_at IS NULL
"""

# Under the lock nobody can make a row that names one of them; only a further statement sees what was made before it.
_LOCK_UNUSED = """
SELECT d.id FROM jobs_demand d
WHERE d.unused_since < now() - %s * interval '1 minute' FOR UPDATE SKIP LOCKED
"""
_REMOVE_UNUSED = """
DELETE FROM jobs_demand d WHERE d.id = ANY(%s) AND NOT EXISTS (SELECT FROM jobs_ready r WHERE r.demand_id = d.id)
"""
_NOTE_UNUSED = """
WITH used AS MATERIALIZED (SELECT DISTINCT demand_id FROM jobs_ready), changed AS MATERIALIZED (
    SELECT d.id, used.demand_id IS NULL AS is_unused FROM jobs_demand d LEFT JOIN used ON used.demand_id = d.id
    WHERE (d.unused_since IS NULL) = (used.demand_id IS NULL) FOR UPDATE OF d SKIP LOCKED
)
UPDATE jobs_demand d SET unused_since = CASE WHEN changed.is_unused THEN now() END
FROM changed WHERE d.id = changed.id
"""

# What is queued in a running job, a step of the index for each stage, and not one for each unit.
_MISSING = """
WITH RECURSIVE stages AS (
    SELECT j.id AS job_id, u.* FROM jobs_job j CROSS JOIN LATERAL (
        SELECT u.stage, u.capability, u.contract, u.ranked, u.needs, u.prefers FROM jobs_unit u
        WHERE u.state = 'queued' AND u.job_id = j.id
        ORDER BY u.stage, u.capability, u.contract, u.ranked, u.needs, u.prefers LIMIT 1
    ) u WHERE j.state = 'running'
    UNION ALL
    SELECT s.job_id, u.* FROM stages s CROSS JOIN LATERAL (
        SELECT u.stage, u.capability, u.contract, u.ranked, u.needs, u.prefers FROM jobs_unit u
        WHERE u.state = 'queued' AND u.job_id = s.job_id
          AND (u.stage, u.capability, u.contract, u.ranked, u.needs, u.prefers)
            > (s.stage, s.capability, s.contract, s.ranked, s.needs, s.prefers)
        ORDER BY u.stage, u.capability, u.contract, u.ranked, u.needs, u.prefers LIMIT 1
    ) u
)
SELECT DISTINCT s.job_id FROM stages s JOIN jobs_job j ON j.id = s.job_id WHERE NOT EXISTS (
    SELECT FROM jobs_ready r JOIN jobs_demand d ON d.id = r.demand_id
    WHERE r.job_id = s.job_id AND r.priority = j.priority
      AND (d.stage, d.capability, d.contract, d.ranked, d.needs, d.prefers)
        = (s.stage, s.capability, s.contract, s.ranked, s.needs, s.prefers)
      AND (NOT d.ranked OR (d.engine, d.model) = (j.engine, j.model) AND d.job_needs IS NOT DISTINCT FROM j.needs
           AND (d.min_rung IS NOT DISTINCT FROM coalesce(j.min_rung, CASE WHEN j.engine <> '' THEN 0 END, j.floor)
                OR j.accept_lower_after IS NOT NULL AND d.min_rung = 0)))
"""


def keep_ready(last_sweep: float, this_sweep: float) -> None:
    """Tidies and repairs the list in the first sweep of each so many seconds, whichever nodes take the sweeps.

    Both times are by the database's clock.
    """
    if last_sweep // TIDY_SECONDS != this_sweep // TIDY_SECONDS:
        tidy_ready()
    if last_sweep // REPAIR_SECONDS != this_sweep // REPAIR_SECONDS:
        repair_ready()


# A dump of another server brings its numbers of transactions. One that is still to come here would later pass for the
# transaction that it was there.
_FOREIGN = """
UPDATE jobs_ready r SET queued_by = 0
FROM (SELECT job_id, demand_id FROM jobs_ready
      WHERE queued_by >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint FOR UPDATE SKIP LOCKED) old
WHERE r.job_id = old.job_id AND r.demand_id = old.demand_id
"""


def lock_ready(job_ids: Sequence[int]) -> None:
    """Locks the rows of several jobs in one order, before triggers write them in any: no two wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM jobs_ready WHERE job_id = ANY(%s) ORDER BY job_id, demand_id FOR UPDATE", [list(job_ids)]
        )


def mark_due() -> int:
    """Lets what was to be done later be claimed once its time has come; returns how many jobs' rows came due."""
    return len(COME_DUE.fetch())


def tidy_ready() -> None:
    """Removes or puts off what claims at the same moment left behind, and removes demands long unused."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_OVER)
        cursor.execute(_NOTE_UNUSED)
    _remove_unused()


@transaction.atomic
def _remove_unused() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_UNUSED, [UNUSED_MINUTES])
        if unused := [row[0] for row in cursor.fetchall()]:
            cursor.execute(_REMOVE_UNUSED, [unused])


def repair_ready() -> int:
    """Lists queued units of running jobs that are not listed; returns of how many jobs, which should be none.

    Work that a sweep queued in the very moment in which its job asked for something else is listed rightly by this.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FOREIGN)
        cursor.execute(_MISSING)
        jobs = [row[0] for row in cursor.fetchall()]
    for job_id in jobs:
        logger.warning("job %s had queued units that were not listed as ready: they are now", job_id)
        _list_again(job_id)
    return len(jobs)


@transaction.atomic
def _list_again(job_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_ready WHERE job_id = %s", [job_id])
        cursor.execute("SELECT jobs_make_ready_again(%s)", [job_id])
