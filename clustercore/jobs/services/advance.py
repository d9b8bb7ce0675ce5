"""Finish: when no unit of a job is open, its next stage starts or it ends. Decided under the job's row lock."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.kinds import NewUnit, Stage, kind_named
from clustercore.jobs.domain.lifecycle import JobState, UnitState
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.counting import count_finished
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.submit import queue_units

IS_MOVING = StoredStatement(
    "jobs_is_moving",
    parameters={"job": "bigint"},
    columns={"is_moving": "boolean"},
    query="""
SELECT EXISTS (SELECT 1 FROM jobs_unit WHERE job_id = %(job)s::bigint AND state IN ('queued', 'leased'))
""",
)


def advance(job_id: int) -> str:
    """Moves the job on if nothing of it is open; harmless at any time. Returns the job's state."""
    with transaction.atomic():
        job = Job.objects.select_for_update(no_key=True).filter(pk=job_id).first()
        if job is None:
            return "gone"
        return advance_locked(job_id) or job.state


def advance_locked(job_id: int) -> str | None:
    """As `advance`, for a caller that holds the job's row lock; returns the state if it looked at it."""
    if is_moving(job_id):
        return None
    job = Job.objects.get(pk=job_id)
    if job.state in (JobState.RUNNING, JobState.PAUSED):
        _move_on(job)
    return job.state


def _move_on(job: Job) -> None:
    units = Unit.objects.filter(job=job)
    held = units.filter(state=UnitState.HELD)
    broken = list(units.exclude(state__in=[UnitState.DONE, UnitState.HELD]).order_by("id")[:5])
    if broken:
        # Whatever the held units wait for will not come any more.
        held.update(state=UnitState.CANCELLED, finished=Now(), error="another part of the job failed")
        _end(job, JobState.FAILED, "; ".join(_named_error(job, unit) for unit in broken))
        return
    if held.exists():
        return
    following = _next_barrier(job)
    if following is None:
        _end(job, JobState.DONE, "")
        return
    job.stage = following.name
    job.save(update_fields=["stage"])
    queue_units(kind_named(job.kind), job.pk, [NewUnit(stage=following.name, ordinal=0)])


def _named_error(job: Job, unit: Unit) -> str:
    """Which of many broke; where there is but one of its stage, a number would say nothing."""
    is_one_of_many = unit.stage == kind_named(job.kind).main_stage
    return f"{unit.stage} {unit.ordinal}: {unit.error}" if is_one_of_many else unit.error


def _next_barrier(job: Job) -> Stage | None:
    present = set(Unit.objects.filter(job=job).values_list("stage", flat=True).distinct())
    for stage in kind_named(job.kind).stages:
        if stage.opens == "barrier" and stage.name not in present:
            return stage
    return None


def _end(job: Job, state: JobState, error: str) -> None:
    job.state, job.error, job.waiting = state, error, ""
    job.finished = Now()
    job.save(update_fields=["state", "error", "waiting", "finished"])
    record_event(job.pk, str(state), f"{state}: {error}" if error else str(state))
    count_finished(job, state)


def is_moving(job_id: int) -> bool:
    """Whether anything of the job is queued or leased."""
    return bool(IS_MOVING.fetch(job=job_id)[0][0])
