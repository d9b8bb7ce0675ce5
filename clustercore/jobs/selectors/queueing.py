"""How much waits, and how long the oldest has: for the status and for whoever watches over the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet, Sum

from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.models import JobCount

# By job first: which of them run is asked once for each, and not for each unit.
_QUEUE = """
WITH waiting AS (
    SELECT job_id, count(*) FILTER (WHERE state = 'queued') AS queued,
           count(*) FILTER (WHERE state = 'leased') AS leased, count(*) FILTER (WHERE state = 'held') AS held,
           min(greatest(created, run_after)) FILTER (
               WHERE state = 'queued' AND (run_after IS NULL OR run_after <= now())) AS since
    FROM jobs_unit WHERE state IN ('queued', 'leased', 'held') GROUP BY job_id
)
SELECT coalesce(sum(queued), 0)::bigint, coalesce(sum(leased), 0)::bigint, coalesce(sum(held), 0)::bigint,
       extract(epoch FROM now() - min(since) FILTER (WHERE running.id IS NOT NULL))
FROM waiting LEFT JOIN (SELECT id FROM jobs_job WHERE state = 'running') running ON running.id = waiting.job_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Open units of the whole cluster."""

    queued: int
    leased: int
    held: int
    oldest_waiting_seconds: float | None
    """How long the oldest unit that is due has waited; None when nothing that could run waits."""


def queue_now() -> Queue:
    """One query."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE)
        queued, leased, held, oldest = cursor.fetchone()
    return Queue(
        queued=queued, leased=leased, held=held, oldest_waiting_seconds=float(oldest) if oldest is not None else None
    )


def jobs_by_state(counts: QuerySet[JobCount]) -> Mapping[str, int]:
    """How many of the jobs that these are counts of are in each state, the states without any included. One query."""
    counted = dict(counts.order_by().values_list("state").annotate(n=Sum("jobs")))
    return {state.value: int(counted.get(state.value) or 0) for state in JobState}
