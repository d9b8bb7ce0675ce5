"""What happens at a time: a join opens with what it has, and what was not begun by its deadline is overdue."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from clustercore.jobs.domain.lifecycle import JobState, UnitState
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.advance import look_at
from clustercore.jobs.services.settle import end_unit

PAST_DEADLINE = "it was not begun by its deadline"
_NOT_BEGUN = (UnitState.BLOCKED, UnitState.QUEUED, UnitState.HELD)
_PAST = Q(deadline__lte=Now(), state__in=_NOT_BEGUN)
_DUE = Q(join_until__lte=Now(), state=UnitState.BLOCKED)


def run_due() -> int:
    """Moves every job on that has something due; returns how many. Nothing due costs two looks at empty indexes."""
    due = Unit.objects.filter(_DUE | _PAST, job__state=JobState.RUNNING).order_by()
    ids = sorted(set(due.values_list("job_id", flat=True)))
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
    return Unit.objects.filter(_PAST, job=job).order_by("pk")
