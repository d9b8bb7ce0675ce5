"""What happens at a time: a join opens with what it has, and what was not begun by its deadline is overdue."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.lifecycle import JobState, UnitState
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.advance import look_at
from clustercore.jobs.services.settle import end_unit

PAST_DEADLINE = "it was not begun by its deadline"
_NOT_BEGUN = (UnitState.BLOCKED, UnitState.QUEUED, UnitState.HELD)
_DUE = """
SELECT DISTINCT u.job_id FROM jobs_unit u JOIN jobs_job j ON j.id = u.job_id
WHERE j.state = 'running' AND abs(extract(epoch FROM now()) - %(as_of)s) <= %(trusted)s
  AND (u.state = 'blocked' AND u.join_until <= now()
       OR u.state IN ('blocked', 'queued', 'held') AND u.deadline <= now())
ORDER BY u.job_id
"""


def run_due(as_of: ClockReading, lease_seconds: float) -> int:
    """Moves every job on that has something due; returns how many. One statement where nothing is.

    `as_of` is what the clocks said of late: a database's clock that was set since proves nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"as_of": as_of.database, "trusted": lease_seconds / 2})
        ids = [row[0] for row in cursor.fetchall()]
    return sum(_run_due(job_id) for job_id in ids)


@transaction.atomic
def _run_due(job_id: int) -> bool:
    """Only one node does it: whoever comes second finds the job locked, or nothing due."""
    job = Job.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=job_id, state=JobState.RUNNING).first()
    if job is None:
        return False
    for unit in _past_deadline(job).select_for_update():
        end_unit(job, unit, UnitState.OVERDUE, PAST_DEADLINE)
    look_at(job)
    return True


def _past_deadline(job: Job) -> QuerySet[Unit]:
    return Unit.objects.filter(job=job, deadline__lte=Now(), state__in=_NOT_BEGUN).order_by("pk")
