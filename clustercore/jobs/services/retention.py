"""Upkeep of the ledger, on the hub's machine: files that nobody needs, and stories of jobs that ended long ago.

Jobs, units, results and what was noted of a recording stay. So do the attempt that did a unit, and the last one at it:
they say who did it, by which engine, and how long it took.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection

from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import local_store
from clustercore.config.environment import environment
from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.services.references import collect_unreferenced

BATCH = 100
"""Jobs in one transaction: what goes on meanwhile waits for none of it, and what is cut off goes on a minute later."""
BATCHES = 50
_SHORTEN = """
WITH old AS MATERIALIZED (
    SELECT id FROM jobs_job
    WHERE state IN ('done', 'failed', 'cancelled') AND finished < now() - %(age)s::interval
      AND finished IS NOT NULL AND (shortened IS NULL OR shortened < finished)
    ORDER BY finished LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED
), told AS (
    DELETE FROM jobs_jobevent e USING old WHERE e.job_id = old.id AND e.name <> %(note)s
), tried AS (
    DELETE FROM jobs_attempt a USING old, jobs_unit u
    WHERE u.job_id = old.id AND a.unit_id = u.id AND a.number < u.attempts_made AND a.outcome NOT IN ('done', 'live')
)
UPDATE jobs_job j SET shortened = now() FROM old WHERE j.id = old.id
"""


def tidy_ledger() -> None:
    """Deletes what no job refers to, and shortens what CLUSTERCORE_HISTORY_DAYS says; elsewhere than on the hub's
    machine it does nothing."""
    if local_store(hub_now()) is None:
        return
    collect_unreferenced()
    days = environment().history_days
    if days:
        shorten_stories(timedelta(days=days))


def shorten_stories(age: timedelta, batch: int = BATCH) -> int:
    """Removes the lines of jobs that ended longer ago, but for notes on what was heard, and tries that came to nothing.

    Returns how many jobs; some thousands at most, the others have their turn next time.
    """
    shortened = 0
    for _ in range(BATCHES):
        found = _shorten(age, batch)
        shortened += found
        if found < batch:
            break
    return shortened


def _shorten(age: timedelta, batch: int) -> int:
    wanted: dict[str, Any] = {"age": age, "batch": batch, "note": NOTE}
    with connection.cursor() as cursor:
        cursor.execute(_SHORTEN, wanted)
        return int(cursor.rowcount)
