"""What a person may do to a job: cancel, pause, resume, retry, requeue, release, edit, remove."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from heapq import heappop, merge
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from clustercore.access.domain.errors import Conflict
from clustercore.jobs.domain.kinds import JobKind, kind_named
from clustercore.jobs.domain.lifecycle import (
    BROKEN_UNIT_STATES,
    FINAL_JOB_STATES,
    OPEN_UNIT_STATES,
    WITHOUT_VERDICT,
    AttemptOutcome,
    JobState,
    UnitState,
)
from clustercore.jobs.models import Attempt, Job, JobBlob, Unit
from clustercore.jobs.services.advance import look_at
from clustercore.jobs.services.asking import ask_about_outcome, withdraw_from_job
from clustercore.jobs.services.counting import count_cancelled
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.joins import reopen_inputs, wait_again
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.references import release
from clustercore.jobs.services.telling import job_changed
from clustercore.jobs.services.turn_locks import alone_in
from clustercore.terminal.domain.names import without_controls

_CLEAN_SLATE: Mapping[str, Any] = {
    "unsent": True,
    "error": "",
    "strikes": 0,
    "failures": 0,
    "progress": 0.0,
    "excluded_nodes": [],
} | dict.fromkeys(
    ("run_after", "finished", "avoid_node", "avoid_until", "excluded_until", "deadline", "join_until"), None
)


class NotPossible(Conflict):
    """The job's state does not allow it; the message says why and what to do instead."""

    code = "not_possible"


def _locked(job_id: int) -> Job:
    job = Job.objects.select_for_update(no_key=True).filter(pk=job_id).first()
    if job is None:
        raise NotPossible(f"there is no job {job_id}: `clustercore jobs` lists them")
    alone_in(job_id)
    return job


@transaction.atomic
def cancel_job(job_id: int, reason: str = "cancelled by a user") -> Job:
    """Ends a job now, and those that are done for it: open units and live attempts are cancelled.

    Nodes drop them at their next heartbeat.
    """
    job = _locked(job_id)
    if job.state in FINAL_JOB_STATES:
        raise NotPossible(f"job {job_id} is already {job.state}")
    descendants = _locked_descendants(job)
    _cancel(job, reason)
    for child in descendants:
        _cancel(child, f"job {child.parent_id}, for which it was done, is over: {reason}"[:300])
    # At the very end: whoever waits for these rows must hold no job that is locked above.
    count_cancelled(each.kind for each in (job, *descendants))
    return job


def _locked_descendants(job: Job) -> list[Job]:
    """Locks the open jobs that are done for this one; one that has ended meanwhile, by itself, stays as it is.

    A child has a higher number than its parent, so that taking the lowest first locks the whole tree upwards.
    """
    open_jobs = Job.objects.exclude(state__in=FINAL_JOB_STATES)
    found = {job.pk: job}
    to_lock = _children(open_jobs, job)
    while to_lock:
        child_id = heappop(to_lock)
        child = None if child_id in found else open_jobs.select_for_update(no_key=True).filter(pk=child_id).first()
        if child is None:
            continue
        alone_in(child_id)
        found[child_id] = child
        to_lock = list(merge(to_lock, _children(open_jobs, child)))
    return list(found.values())[1:]


def _children(jobs: QuerySet[Job], parent: Job) -> list[int]:
    return list(jobs.filter(parent=parent).order_by("pk").values_list("pk", flat=True))


def _cancel(job: Job, reason: str) -> None:
    _cancel_attempts(job, reason)
    Unit.objects.filter(job=job, state__in=OPEN_UNIT_STATES).update(
        state=UnitState.CANCELLED, finished=Now(), error=reason
    )
    withdraw_from_job(job.pk)
    # A claim that committed while the line above waited for its unit has left one more live attempt.
    _cancel_attempts(job, reason)
    _set_state(job, JobState.CANCELLED, reason)


def _cancel_attempts(job: Job, reason: str) -> None:
    live = Attempt.objects.filter(unit__job=job, outcome=AttemptOutcome.LIVE).order_by("pk")
    # In the order in which a heartbeat locks them.
    ids = list(live.select_for_update(of=("self",)).values_list("pk", flat=True))
    Attempt.objects.filter(pk__in=ids).update(outcome=AttemptOutcome.CANCELLED, ended=Now(), reason=reason)


@transaction.atomic
def pause_job(job_id: int) -> Job:
    """No further units are taken; what runs goes on."""
    job = _locked(job_id)
    if job.state != JobState.RUNNING:
        raise NotPossible(f"job {job_id} is {job.state}: only a running job can be paused")
    _set_state(job, JobState.PAUSED, "paused by a user")
    return job


@transaction.atomic
def resume_job(job_id: int) -> Job:
    """A paused job goes on, with fresh bells for what waits."""
    job = _locked(job_id)
    if job.state != JobState.PAUSED:
        raise NotPossible(f"job {job_id} is {job.state}: only a paused job can be resumed")
    _set_state(job, JobState.RUNNING, "resumed by a user")
    _ring_queued(job)
    return job


@transaction.atomic
def retry_job(job_id: int) -> Job:
    """Queues what failed, died or was cancelled again, and lets every node try again; what is done stays done."""
    job = _locked(job_id)
    broken = Unit.objects.filter(job=job, state__in=BROKEN_UNIT_STATES)
    refused = Unit.objects.filter(job=job, state=UnitState.QUEUED, excluded_nodes__len__gt=0)
    forgiven = refused.update(excluded_nodes=[], excluded_until=None, failures=0, run_after=None)
    if not forgiven and not broken.exists():
        raise NotPossible(f"job {job_id} is {job.state} and has nothing that failed or was cancelled")
    _requeue_all(job, list(broken.order_by("pk").select_for_update()))
    _set_state(job, JobState.RUNNING, "tried again by a user")
    look_at(job)
    _ring_queued(job)
    return job


@transaction.atomic
def requeue_unit(unit_id: int) -> Unit:
    """Gives one failed, dead or cancelled unit a clean slate and sets its job running."""
    found = Unit.objects.filter(pk=unit_id).values_list("job_id", flat=True).first()
    if found is None:
        raise NotPossible(f"there is no unit {unit_id}")
    job = _locked(found)
    if job.state == JobState.CANCELLED:
        raise NotPossible(f"job {job.pk} was cancelled: `clustercore retry {job.pk}` takes all of it up again")
    unit = Unit.objects.select_for_update().get(pk=unit_id)
    if unit.state not in BROKEN_UNIT_STATES:
        raise NotPossible(f"unit {unit_id} is {unit.state}: only a failed, dead or cancelled one can be queued again")
    _requeue_all(job, [unit])
    _set_state(job, JobState.RUNNING, f"{unit.stage} {unit.ordinal} queued again by a user")
    look_at(job)
    _ring_queued(job)
    unit.refresh_from_db()
    return unit


@transaction.atomic(savepoint=False)
def release_units(job_id: int, stages: Collection[str], hold_reason: str = "") -> int:
    """Queues the held units of some stages, all or those held for one reason; returns how many."""
    units = Unit.objects.select_for_update().filter(job_id=job_id, stage__in=stages, state=UnitState.HELD)
    held = units.filter(hold_reason=hold_reason) if hold_reason else units
    by_stage: dict[str, list[int]] = {}
    for unit_id, stage in held.order_by("pk").values_list("pk", "stage"):
        by_stage.setdefault(stage, []).append(unit_id)
    if not by_stage:
        return 0
    released = [unit_id for ids in by_stage.values() for unit_id in ids]
    Unit.objects.filter(pk__in=released).update(state=UnitState.QUEUED, hold_reason="")
    job_changed(job_id)
    kind = kind_named(Job.objects.values_list("kind", flat=True).get(pk=job_id))
    for stage, ids in by_stage.items():
        transaction.on_commit(partial(kind.send, job_id, stage, ids))
    return len(released)


@transaction.atomic
def edit_job(job_id: int, *, title: str | None = None, priority: int | None = None, shared: bool | None = None) -> Job:
    """Changes what is given and leaves the rest. `priority` -100 to 100; the title becomes one printable line."""
    job = _locked(job_id)
    if title is not None:
        job.title = one_line(title) or job.title
    if priority is not None:
        job.priority = priority
    if shared is not None:
        job.shared = shared
    job.save(update_fields=["title", "priority", "shared"])
    job_changed(job_id)
    return job


def one_line(text: str) -> str:
    """The text with all controls as spaces, 300 characters at most."""
    return without_controls(text).strip()[:300]


@transaction.atomic
def remove_job(job_id: int) -> None:
    """Deletes a job that has ended with its recordings, texts and every node's copies, as far as no other needs them.

    What was stored within CLUSTERCORE_UNREFERENCED_HOURS goes when they are over. Raises NotPossible.
    """
    job = _locked(job_id)
    if job.state not in FINAL_JOB_STATES:
        raise NotPossible(f"job {job_id} is {job.state}: cancel it first")
    blobs = list(JobBlob.objects.filter(job=job).values_list("sha256", flat=True))
    job.delete()
    job_changed(job_id)
    release(blobs)


def _set_state(job: Job, state: JobState, why: str) -> None:
    job.state, job.waiting = state, ""
    job.error = why if state == JobState.CANCELLED else ""
    job.finished = Now() if state in FINAL_JOB_STATES else None
    job.save(update_fields=["state", "waiting", "error", "finished"])
    record_event(job.pk, str(state), why)


def _requeue_all(job: Job, units: Sequence[Unit]) -> None:
    """Gives units a clean slate; what came of them before is made of them anew."""
    kind = kind_named(job.kind)
    if unknown := {unit.stage for unit in units} - kind.order.keys():
        raise NotPossible(f"job {job.pk} has stages that this version does not know: {', '.join(sorted(unknown))}")
    behind = [new for new in kind.barriers() if _is_behind(kind, new.stage, units)]
    made = [(new, Unit.objects.filter(job=job, stage=new.stage).order_by("ordinal").last()) for new in behind]
    broken = [last for _, last in made if last is not None and last.state in BROKEN_UNIT_STATES]
    _requeue(kind, job, {unit.pk: unit.stage for unit in [*units, *broken]})
    for barrier, last in made:
        if last is not None and last.state not in (*BROKEN_UNIT_STATES, UnitState.BLOCKED, UnitState.HELD):
            queue_units(kind, job.pk, [replace(barrier, ordinal=last.ordinal + 1)])


def _is_behind(kind: JobKind, stage: str, units: Sequence[Unit]) -> bool:
    order = kind.order
    return any(order.get(unit.stage, len(order)) < order[stage] for unit in units)


def _requeue(kind: JobKind, job: Job, stages: Mapping[int, str]) -> None:
    """Units by id, and their stages. All are queued before any looks at its inputs, which may be among them."""
    for name in sorted(set(stages.values())):
        stage = kind.stage(name)
        held = stage.held(job.pk) if stage.held is not None else ""
        again = Unit.objects.filter(pk__in=[pk for pk, of in stages.items() if of == name])
        again.update(state=UnitState.HELD if held else UnitState.QUEUED, hold_reason=held, **_CLEAN_SLATE)
    waiting = wait_again(stages)
    Unit.objects.filter(pk__in=waiting).update(state=UnitState.BLOCKED, hold_reason="")
    reopen_inputs(job, stages)
    _ask_where_in_doubt(stages)


def _ask_where_in_doubt(unit_ids: Iterable[int]) -> None:
    for unit in filter(_is_in_doubt, Unit.objects.filter(pk__in=list(unit_ids), once=True)):
        held = ask_about_outcome(unit, "it was cancelled before anybody could say so")
        Unit.objects.filter(pk=unit.pk).update(state=UnitState.HELD, hold_reason=held)


def _is_in_doubt(unit: Unit) -> bool:
    """Whether its last attempt ended without a verdict of its handler."""
    last = Attempt.objects.filter(unit=unit, number=unit.attempts_made)
    return last.filter(outcome__in=WITHOUT_VERDICT).exists()


def _ring_queued(job: Job) -> None:
    kind = kind_named(job.kind)
    by_stage: dict[str, list[int]] = {}
    for unit_id, stage in Unit.objects.filter(job=job, state=UnitState.QUEUED).values_list("id", "stage"):
        by_stage.setdefault(stage, []).append(unit_id)
    for stage, ids in by_stage.items():
        transaction.on_commit(partial(kind.send, job.pk, stage, ids))
