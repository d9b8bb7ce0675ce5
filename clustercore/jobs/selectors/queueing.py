"""How much waits, and how long the oldest has: for the status and for whoever watches over the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, QuerySet

from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.models import Job

_QUEUE = """
SELECT count(*) FILTER (WHERE u.state = 'queued'), count(*) FILTER (WHERE u.state = 'leased'),
       count(*) FILTER (WHERE u.state = 'held'),
       extract(epoch FROM now() - min(greatest(u.created, u.run_after)) FILTER (
           WHERE u.state = 'queued' AND j.state = 'running' AND (u.run_after IS NULL OR u.run_after <= now())))
FROM jobs_unit u JOIN jobs_job j ON j.id = u.job_id WHERE u.state IN ('queued', 'leased', 'held')
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


def jobs_by_state(jobs: QuerySet[Job]) -> Mapping[str, int]:
    """How many of these jobs are in each state, the states without any included. One query."""
    counted = dict(jobs.order_by().values_list("state").annotate(n=Count("id")))
    return {state.value: counted.get(state.value, 0) for state in JobState}
