"""What a verdict does to the ledger. A result counts only while its attempt is live: the fence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.lifecycle import AttemptOutcome, UnitState, moved
from clustercore.jobs.domain.verdict import (
    Crashed,
    Degrade,
    Done,
    Fail,
    HandBack,
    Hold,
    Retry,
    Verdict,
    backoff_seconds,
)
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.advance import advance_locked
from clustercore.jobs.services.events import count, record_event

STRIKES_UNTIL_DEAD = 3
FAILURES_UNTIL_FAILED = 8


class Settled(StrEnum):
    """Whether a verdict took effect."""

    COUNTED = "counted"
    FENCED = "fenced"


def settle(attempt_id: int, verdict: Verdict, *, served_by: Mapping[str, Any] | None = None) -> Settled:
    """Ends an attempt by its verdict, or counts it as late when the attempt is no longer live.

    Locks are taken in the order job, attempt, unit, as everywhere in the ledger.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update(no_key=True).filter(units__attempts=attempt_id).first()
        if job is None:
            return Settled.FENCED
        attempt = Attempt.objects.select_related("unit").select_for_update(of=("self", "unit")).get(pk=attempt_id)
        unit = attempt.unit
        if attempt.outcome != AttemptOutcome.LIVE or unit.state != UnitState.LEASED:
            _count_late(attempt)
            return Settled.FENCED
        attempt.served_by = dict(served_by or {})
        _apply(job, attempt, unit, verdict)
        return Settled.COUNTED


def _count_late(attempt: Attempt) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(fenced_results=F("fenced_results") + 1)
    count("results.fenced")


def _apply(job: Job, attempt: Attempt, unit: Unit, verdict: Verdict) -> None:
    match verdict:
        case Done(result):
            _complete(job, attempt, unit, result)
        case Fail(why, _):
            _close(attempt, AttemptOutcome.FAILED, why)
            _end_unit(job, unit, UnitState.FAILED, why)
        case Retry():
            _retry(job, attempt, unit, verdict)
        case Degrade(why, rung):
            _close(attempt, AttemptOutcome.RETRY, why)
            unit.min_rung = rung
            _queue_again(unit, why, 0.0)
        case Hold(why, seconds):
            _hold(attempt, unit, why, seconds)
        case Crashed(why):
            strike(job, attempt, unit, why)
        case HandBack(why):
            _close(attempt, AttemptOutcome.HANDED_BACK, why)
            _queue_again(unit, why, 0.0, avoid=attempt)


def _complete(job: Job, attempt: Attempt, unit: Unit, result: Mapping[str, Any]) -> None:
    _close(attempt, AttemptOutcome.DONE, "")
    if unit.attempts_made > 1:
        _supersede(attempt)
    unit.state, unit.progress, unit.error = moved(unit.state, UnitState.DONE), 1.0, ""
    unit.result = dict(result)
    unit.finished = Now()
    unit.save(update_fields=["state", "result", "progress", "error", "finished"])
    record = kind_named(job.kind).stage(unit.stage).record
    if record is not None:
        record(unit.pk, result)
    advance_locked(job)


def _supersede(winner: Attempt) -> None:
    Attempt.objects.filter(unit_id=winner.unit_id, outcome=AttemptOutcome.LIVE).update(
        outcome=AttemptOutcome.SUPERSEDED, ended=Now(), reason=f"attempt {winner.number} was first"
    )


def _close(attempt: Attempt, outcome: AttemptOutcome, reason: str) -> None:
    attempt.outcome, attempt.reason = outcome, reason
    attempt.ended = Now()
    attempt.save(update_fields=["outcome", "reason", "ended", "served_by"])


def _retry(job: Job, attempt: Attempt, unit: Unit, verdict: Retry) -> None:
    why = verdict.why
    _close(attempt, AttemptOutcome.RETRY, why)
    unit.failures += 1
    if unit.failures >= FAILURES_UNTIL_FAILED:
        _end_unit(job, unit, UnitState.FAILED, f"given up after {unit.failures} tries: {why}")
        return
    if verdict.not_here and attempt.node_id is not None:
        unit.excluded_nodes = [*unit.excluded_nodes, attempt.node_id]
    jitter = ((unit.pk * 2654435761 + unit.failures * 40503) % 1000) / 1000
    delay = verdict.delay_seconds
    _queue_again(unit, why, backoff_seconds(unit.failures, jitter) if delay is None else delay)


def _hold(attempt: Attempt, unit: Unit, why: str, seconds: float | None) -> None:
    _close(attempt, AttemptOutcome.HELD, why)
    if seconds is not None:
        unit.hold_reason = why
        _queue_again(unit, why, seconds)
        return
    unit.state, unit.hold_reason = moved(unit.state, UnitState.HELD), why[:400]
    unit.save(update_fields=["state", "hold_reason"])


def strike(job: Job, attempt: Attempt, unit: Unit, why: str) -> None:
    """A proved crash: queued again, another node first; the third makes the unit dead."""
    _close(attempt, AttemptOutcome.CRASHED, why)
    unit.strikes += 1
    if unit.strikes >= STRIKES_UNTIL_DEAD:
        remedy = (
            f"crashed its worker {unit.strikes} times, the last time: {why}. `clustercore retry {job.pk}` tries again"
        )
        _end_unit(job, unit, UnitState.DEAD, remedy)
        return
    _queue_again(unit, why, backoff_seconds(unit.strikes, 0.0), avoid=attempt)


def _end_unit(job: Job, unit: Unit, state: UnitState, why: str) -> None:
    unit.state, unit.error = moved(unit.state, state), why
    unit.finished = Now()
    unit.save(update_fields=["state", "error", "finished", "strikes", "failures"])
    record_event(job.pk, str(state), f"{unit.stage} {unit.ordinal} {state}: {why}", unit_id=unit.pk)
    advance_locked(job)


def _queue_again(unit: Unit, why: str, delay: float, avoid: Attempt | None = None) -> None:
    unit.state, unit.error, unit.progress = moved(unit.state, UnitState.QUEUED), why, 0.0
    unit.run_after = seconds_from_now(delay) if delay else None
    if avoid is not None:
        unit.avoid_node_id = avoid.node_id
        unit.avoid_until = seconds_from_now(delay + 5.0)
    unit.save()


def seconds_from_now(seconds: float) -> Combinable:
    """The database's clock, so many seconds ahead."""
    return ExpressionWrapper(Now() + Value(timedelta(seconds=seconds)), output_field=DateTimeField())
