"""Counts that outlive the rows: jobs that came and ended, and how long they took."""

from __future__ import annotations

from django.db import connection

from clustercore.jobs.domain.counters import (
    FINISHED,
    JOB_BUCKETS,
    MILLISECONDS,
    SUBMITTED,
    TOOK,
    WAITED,
    bucket_of,
    counter_name,
)
from clustercore.jobs.models import Job
from clustercore.jobs.services.events import count_all

_SECONDS = """
SELECT extract(epoch FROM j.finished - j.created), extract(epoch FROM min(a.started) - j.created)
FROM jobs_job j LEFT JOIN jobs_unit u ON u.job_id = j.id LEFT JOIN jobs_attempt a ON a.unit_id = u.id
WHERE j.id = %s GROUP BY j.id
"""


def count_submitted(kind: str) -> None:
    """A job was created."""
    count_all({counter_name(SUBMITTED, kind): 1})


def count_finished(job: Job, outcome: str) -> None:
    """A job has ended so; one that is retried may end again. How long it took is told of those that were done."""
    counts = {counter_name(FINISHED, job.kind, outcome): 1}
    if outcome == "done":
        took, waited = _seconds_of(job.pk)
        counts |= _observed(TOOK, job.kind, took)
        counts |= _observed(WAITED, job.kind, waited)
    count_all(counts)


def _seconds_of(job_id: int) -> tuple[float | None, float | None]:
    with connection.cursor() as cursor:
        cursor.execute(_SECONDS, [job_id])
        took, waited = cursor.fetchone()
    return (None if took is None else float(took)), (None if waited is None else float(waited))


def _observed(name: str, kind: str, seconds: float | None) -> dict[str, int]:
    if seconds is None:
        return {}
    # Of a job during which the clock was set back: a count never falls.
    seconds = max(0.0, seconds)
    bucket = bucket_of(seconds, JOB_BUCKETS)
    return {counter_name(name, kind, bucket): 1, counter_name(name, kind, MILLISECONDS): round(seconds * 1000)}
