"""What a verdict does to the ledger. A result counts only while its attempt is live: the fence."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from clustercore.embedded.domain.shortage import shortage_in
from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.counters import FENCED, UNKNOWN_RESULTS
from clustercore.jobs.domain.kinds import JobKind, kind_named
from clustercore.jobs.domain.lifecycle import AttemptOutcome, UnitState, moved
from clustercore.jobs.domain.result_files import Files
from clustercore.jobs.domain.verdict import (
    Ask,
    Crashed,
    Done,
    Fail,
    HandBack,
    Hold,
    Remake,
    Retry,
    Unknown,
    Verdict,
    backoff_seconds,
    from_json,
    to_json,
    without_nul,
)
from clustercore.jobs.domain.waiting import BLOB_MISSING
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.advance import look_at, unit_ended
from clustercore.jobs.services.asking import ask, ask_about_outcome, withdraw_from_unit
from clustercore.jobs.services.control import release_units
from clustercore.jobs.services.events import count, record_event
from clustercore.jobs.services.mishaps import HUB_AWAY
from clustercore.jobs.services.queueing import queue_another, queue_units
from clustercore.jobs.services.result_files import keep_files
from clustercore.jobs.services.telling import job_changed
from clustercore.jobs.services.turn_locks import alone

logger = logging.getLogger(__name__)

CRASHES_UNTIL_DEAD = 3
FAILURES_UNTIL_FAILED = 8
EXCLUDED_SECONDS = 600.0
"""A node that could not do a unit may try it again after that: what was wrong with it may be mended."""


_JOB_OF_ATTEMPT = """
FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id JOIN jobs_job j ON j.id = u.job_id WHERE a.key = %(key)s::uuid
"""
LOCK_JOB = StoredStatement(
    "jobs_lock_job",
    parameters={"key": "uuid"},
    columns={"job_id": "bigint", "kind": "varchar", "alone": "text"},
    first=f"SELECT 1 {_JOB_OF_ATTEMPT} FOR NO KEY UPDATE OF j",
    query=f"SELECT j.id, j.kind, {alone('j.id')}::text {_JOB_OF_ATTEMPT}",
)

COMPLETE = StoredStatement(
    "jobs_complete",
    parameters={"key": "uuid", "served_by": "jsonb", "result": "jsonb"},
    columns={"unit_id": "bigint", "stage": "varchar", "attempts_made": "integer", "number": "integer"},
    query="""
WITH ended AS (
    UPDATE jobs_attempt a SET outcome = 'done', ended = now(), served_by = %(served_by)s::jsonb
    FROM jobs_unit u
    WHERE a.key = %(key)s::uuid AND a.outcome = 'live' AND u.id = a.unit_id AND u.state = 'leased'
    RETURNING a.unit_id, a.number
)
UPDATE jobs_unit u SET state = 'done', result = %(result)s::jsonb, progress = 1, error = '', finished = now()
FROM ended WHERE u.id = ended.unit_id AND u.state = 'leased'
RETURNING u.id, u.stage, u.attempts_made, ended.number
""",
)


class Settled(StrEnum):
    """Whether a verdict took effect."""

    COUNTED = "counted"
    FENCED = "fenced"
    UNKNOWN = "unknown"
    """This ledger has no attempt of that key: another hub's, of a time that a restore undid, or of a removed job."""


def settle(
    key: UUID, verdict: Verdict, *, served_by: Mapping[str, Any] | None = None, files: Files | None = None
) -> Settled:
    """Ends the attempt of this key by its verdict, or counts it as late when the attempt is no longer live.

    The bytes of its files must be stored before; raises StoreAway where they were deleted since. Locks are taken in
    the order job (its row, then its turns), attempt, unit, as everywhere in the ledger.
    """
    verdict, served_by = from_json(to_json(verdict)), without_nul(dict(served_by or {}))
    with transaction.atomic():
        found = LOCK_JOB.fetch(key=key)
        if not found:
            count(UNKNOWN_RESULTS)
            return Settled.UNKNOWN
        job_id, kind, _ = found[0]
        job_changed(job_id)
        if isinstance(verdict, Done):
            return complete(key, job_id, kind, verdict, served_by, files)
        attempt = _locked_attempt(key)
        if not isinstance(verdict, Unknown | Crashed):
            _take_up(attempt, UnitState.HELD)
        if attempt.outcome != AttemptOutcome.LIVE or attempt.unit.state != UnitState.LEASED:
            return _count_late(key)
        attempt.served_by = served_by
        _apply(Job.objects.get(pk=job_id), attempt, attempt.unit, verdict)
        return Settled.COUNTED


def settle_or_retry(key: UUID, verdict: Verdict, served_by: Mapping[str, Any], files: Files | None = None) -> Settled:
    """Settles a verdict; one that the ledger cannot store counts as a failed try, so that it ends and says why.

    Raises HUB_AWAY, and what says that this machine is short of something: neither says anything of the result.
    """
    try:
        return settle(key, verdict, served_by=served_by, files=files)
    except HUB_AWAY:
        raise
    except Exception as bug:
        if shortage_in(bug):
            raise
        logger.exception("a result cannot be stored")
        return settle(key, Unknown(f"its result cannot be stored: {type(bug).__name__}: {bug}"))


def _locked_attempt(key: UUID) -> Attempt:
    return Attempt.objects.select_related("unit").select_for_update(of=("self", "unit")).get(key=key)


def _take_up(attempt: Attempt, *states: UnitState) -> bool:
    """Lets a verdict count that comes after all: the last attempt's, of a unit held because nobody knew its outcome.

    `states`: of the unit. One that is queued was released by a person, and nobody has begun it again: it counts as
    done, and any other verdict would undo what the person said.
    """
    unit = attempt.unit
    is_last = attempt.outcome == AttemptOutcome.UNKNOWN and attempt.number == unit.attempts_made
    if not is_last or unit.state not in states:
        return False
    withdraw_from_unit(unit.pk)
    released = moved(unit.state, UnitState.QUEUED) if unit.state == UnitState.HELD else UnitState.QUEUED
    attempt.outcome, unit.state, unit.hold_reason = AttemptOutcome.LIVE, moved(released, UnitState.LEASED), ""
    attempt.save(update_fields=["outcome"])
    unit.save(update_fields=["state", "hold_reason"])
    return True


def _count_late(key: UUID) -> Settled:
    Attempt.objects.filter(key=key).update(fenced_results=F("fenced_results") + 1)
    count(FENCED)
    return Settled.FENCED


def complete(
    key: UUID,
    job_id: int,
    kind: str,
    verdict: Done,
    served_by: Mapping[str, Any],
    files: Files | None = None,
) -> Settled:
    """Ends the attempt of this key with a result, if it is live, and moves its job on.

    Needs the job's row lock, and no turns of others (`alone_in`).
    """
    documents = {"result": json.dumps(dict(verdict.result)), "served_by": json.dumps(dict(served_by))}
    done = COMPLETE.fetch(key=key, **documents)
    if not done and _take_up(_locked_attempt(key), UnitState.HELD, UnitState.QUEUED):
        done = COMPLETE.fetch(key=key, **documents)
    if not done:
        return _count_late(key)
    unit_id, stage, attempts_made, number = done[0]
    if attempts_made > 1:
        _supersede(unit_id, number)
    if files:
        keep_files(job_id, unit_id, files)
    record = kind_named(kind).stage(stage).record
    if record is not None:
        record(unit_id, verdict.result)
    if verdict.then:
        queue_units(kind_named(kind), job_id, verdict.then)
    _release_remade(kind_named(kind), job_id, stage)
    unit_ended(job_id, unit_id, stage, is_done=True)
    return Settled.COUNTED


def _apply(job: Job, attempt: Attempt, unit: Unit, verdict: Verdict) -> None:
    match verdict:
        case Fail(why, _):
            _close(attempt, AttemptOutcome.FAILED, why)
            end_unit(job, unit, UnitState.FAILED, why)
        case Unknown(why) | Crashed(why) if unit.once:
            hold_unknown(job, attempt, unit, why)
        case Unknown(why):
            _retry(job, attempt, unit, Retry(why))
        case Retry():
            _retry(job, attempt, unit, verdict)
        case Hold():
            _hold(job, attempt, unit, verdict)
        case Ask():
            _ask(job, attempt, unit, verdict)
        case Remake():
            _await_remake(job, attempt, unit, verdict)
        case Crashed(why):
            strike(job, attempt, unit, why)
        case HandBack(why):
            hand_back(attempt, unit, why)
        case Done():
            raise AssertionError("Done has a path of its own")


def _supersede(unit_id: int, winner: int) -> None:
    Attempt.objects.filter(unit_id=unit_id, outcome=AttemptOutcome.LIVE).update(
        outcome=AttemptOutcome.SUPERSEDED, ended=Now(), reason=f"attempt {winner} was first"
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
        end_unit(job, unit, UnitState.FAILED, f"given up after {unit.failures} tries: {why}")
        return
    if verdict.not_here and attempt.node_id is not None:
        _exclude(unit, attempt.node_id)
    jitter = ((unit.pk * 2654435761 + unit.failures * 40503) % 1000) / 1000
    delay = verdict.delay_seconds
    _queue_again(unit, why, backoff_seconds(unit.failures, jitter) if delay is None else delay)


def _exclude(unit: Unit, node_id: int) -> None:
    """For a while: whoever was excluded before, and is no longer, gets another try as well."""
    running = Unit.objects.filter(pk=unit.pk, excluded_until__gt=Now()).exists()
    unit.excluded_nodes = [*unit.excluded_nodes, node_id] if running else [node_id]
    unit.excluded_until = seconds_from_now(EXCLUDED_SECONDS)


def _hold(job: Job, attempt: Attempt, unit: Unit, verdict: Hold) -> None:
    why = verdict.why
    _close(attempt, AttemptOutcome.HELD, why)
    if verdict.seconds is not None:
        unit.hold_reason = why[:400]
        _queue_again(unit, why, verdict.seconds, avoid=attempt if verdict.not_here else None)
        return
    unit.state, unit.hold_reason = moved(unit.state, UnitState.HELD), why[:400]
    unit.save(update_fields=["state", "hold_reason"])
    look_at(job)


def _ask(job: Job, attempt: Attempt, unit: Unit, verdict: Ask) -> None:
    _close(attempt, AttemptOutcome.HELD, verdict.question)
    unit.state, unit.hold_reason = moved(unit.state, UnitState.HELD), verdict.question[:400]
    unit.error, unit.progress = "", 0.0
    unit.save(update_fields=["state", "hold_reason", "error", "progress"])
    ask(unit, verdict, seconds_from_now(verdict.until) if verdict.until is not None else None)
    look_at(job)


def hold_unknown(job: Job, attempt: Attempt, unit: Unit, why: str) -> None:
    """Holds a unit that must not be done twice until a person says whether to do it again."""
    _close(attempt, AttemptOutcome.UNKNOWN, why)
    unit.state, unit.hold_reason = moved(unit.state, UnitState.HELD), ask_about_outcome(unit, why)
    unit.error, unit.progress = "", 0.0
    unit.save(update_fields=["state", "hold_reason", "error", "progress"])
    look_at(job)


def hand_back(attempt: Attempt, unit: Unit, why: str) -> None:
    """Queued again as if nothing had been done, another node first."""
    _close(attempt, AttemptOutcome.HANDED_BACK, why)
    _queue_again(unit, why, 0.0, avoid=attempt)


def _await_remake(job: Job, attempt: Attempt, unit: Unit, verdict: Remake) -> None:
    unit.failures += 1
    if unit.failures >= FAILURES_UNTIL_FAILED:
        _close(attempt, AttemptOutcome.FAILED, verdict.why)
        end_unit(job, unit, UnitState.FAILED, f"given up after {unit.failures} tries: {verdict.why}")
        return
    _close(attempt, AttemptOutcome.HELD, verdict.why)
    unit.state, unit.hold_reason = moved(unit.state, UnitState.HELD), BLOB_MISSING
    unit.save(update_fields=["state", "hold_reason", "failures"])
    queue_another(kind_named(job.kind), job.pk, verdict.stage)
    # Where the stage that would make it has failed, the job ends now.
    look_at(job)


def _release_remade(kind: JobKind, job_id: int, maker: str) -> None:
    remade = [stage.name for stage in kind.stages if stage.made_by == maker]
    if remade:
        release_units(job_id, remade, BLOB_MISSING)


def strike(job: Job, attempt: Attempt, unit: Unit, why: str) -> None:
    """A proved crash: queued again, another node first; the third makes the unit dead."""
    _close(attempt, AttemptOutcome.CRASHED, why)
    unit.strikes += 1
    if unit.strikes >= CRASHES_UNTIL_DEAD:
        remedy = (
            f"crashed its worker {unit.strikes} times, the last time: {why}. `clustercore retry {job.pk}` tries again"
        )
        end_unit(job, unit, UnitState.DEAD, remedy)
        return
    _queue_again(unit, why, backoff_seconds(unit.strikes, 0.0), avoid=attempt)


def end_unit(job: Job, unit: Unit, state: UnitState, why: str) -> None:
    """Ends a unit without a result and moves its job on. Needs the job's row lock."""
    unit.state, unit.error = moved(unit.state, state), why
    unit.finished = Now()
    unit.save(update_fields=["state", "error", "finished", "strikes", "failures", "hold_reason"])
    record_event(job.pk, str(state), f"{unit.stage} {unit.ordinal} {state}: {why}", unit_id=unit.pk)
    unit_ended(job.pk, unit.pk, unit.stage, is_done=False)


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
