"""What happens at a time: a join opens with what it has, and what was not begun by its deadline is overdue."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now

from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.kinds import kinds
from clustercore.jobs.domain.lifecycle import JobState, UnitState
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.advance import look_at
from clustercore.jobs.services.asking import withdraw_from_unit
from clustercore.jobs.services.events import record_events
from clustercore.jobs.services.joins import close_inputs
from clustercore.jobs.services.steps import take_each
from clustercore.jobs.services.turn_locks import alone_in

PAST_DEADLINE = "it was not begun by its deadline"
_NOT_BEGUN = (UnitState.BLOCKED, UnitState.QUEUED, UnitState.HELD)
_DUE = """
SELECT t.job_id FROM jobs_timer t
WHERE t.kind = ANY(%(kinds)s) AND t.due_at <= now() AND abs(extract(epoch FROM now()) - %(as_of)s) <= %(trusted)s
ORDER BY t.job_id
"""


def run_due(as_of: ClockReading, lease_seconds: float) -> int:
    """Moves every job on that has something due; returns how many. One statement where nothing is.

    `as_of` is what the clocks said of late: a database's clock that was set since proves nothing. Jobs of a kind that
    this node does not know are left to those that do.
    """
    wanted: dict[str, Any] = {
        "as_of": as_of.database,
        "trusted": lease_seconds / 2,
        "kinds": [kind.name for kind in kinds()],
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, wanted)
        ids = [row[0] for row in cursor.fetchall()]
    return take_each(_run_due, ids)


@transaction.atomic
def _run_due(job_id: int) -> bool:
    """Only one node does it: whoever comes second finds the job locked, or nothing due."""
    job = Job.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=job_id, state=JobState.RUNNING).first()
    if job is None:
        return False
    alone_in(job_id)
    _end_overdue(job)
    look_at(job)
    with connection.cursor() as cursor:
        cursor.execute("SELECT jobs_reset_timer(%s)", [job_id])
    return True


def _end_overdue(job: Job) -> None:
    """All at once: thousands may be given the same time."""
    overdue = Unit.objects.filter(job=job, deadline__lte=Now(), state__in=_NOT_BEGUN)
    past = list(overdue.order_by("pk").select_for_update(of=("self",)))
    if not past:
        return
    ids = [unit.pk for unit in past]
    for unit in past:
        if unit.state == UnitState.HELD:
            withdraw_from_unit(unit.pk)
    Unit.objects.filter(pk__in=ids).update(state=UnitState.OVERDUE, error=PAST_DEADLINE, finished=Now())
    record_events(
        job.pk,
        str(UnitState.OVERDUE),
        {unit.pk: f"{unit.stage} {unit.ordinal} {UnitState.OVERDUE}: {PAST_DEADLINE}" for unit in past},
    )
    close_inputs(ids, is_done=False)
