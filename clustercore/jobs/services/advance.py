"""Finish: what follows when a unit is over. Joins open, and the job ends. Decided under the job's row lock."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models.functions import Now

from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.humanize import ended_words
from clustercore.jobs.domain.kinds import JobKind, kind_named
from clustercore.jobs.domain.lifecycle import BROKEN_UNIT_STATES, JobState, UnitState
from clustercore.jobs.domain.progression import Move, broken_stages, gaps, next_move
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.asking import withdraw_from_job
from clustercore.jobs.services.counting import count_finished
from clustercore.jobs.services.joins import NOTHING_DONE, close_input, close_stages, gather, open_joins
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.snapshot import Snapshot, final_snapshot_of, snapshot_of
from clustercore.jobs.services.telling import job_changed
from clustercore.jobs.services.turn_locks import alone

logger = logging.getLogger(__name__)

WAIT_FOR_EACH_OTHER = "what is left waits for itself: nothing can open it"
OTHERS_FAILED = "another part of the job failed"
NAMED_ERRORS = 5

AFTER_END = StoredStatement(
    "jobs_after_end",
    parameters={"job": "bigint", "unit": "bigint", "stage": "text"},
    columns={"is_moving": "boolean", "stage_is_open": "boolean", "is_input": "boolean"},
    first=f"SELECT {alone('%(job)s::bigint')}",
    query="""
SELECT EXISTS (SELECT 1 FROM jobs_unit WHERE job_id = %(job)s::bigint AND state IN ('queued', 'leased')),
       EXISTS (SELECT 1 FROM jobs_unit u WHERE u.job_id = %(job)s::bigint AND u.stage = %(stage)s::text
               AND u.state IN ('blocked', 'queued', 'leased', 'held')
               AND u."group" = (SELECT ended."group" FROM jobs_unit ended WHERE ended.id = %(unit)s::bigint)),
       EXISTS (SELECT 1 FROM jobs_unitafter WHERE after_id = %(unit)s::bigint)
""",
)

_END = """
WITH ended AS (
    UPDATE jobs_job
    SET state = %(state)s, error = %(error)s, waiting = '', gaps = %(gaps)s, finished = statement_timestamp()
    WHERE id = %(job)s RETURNING id, created, finished
), told AS (
    INSERT INTO jobs_jobevent (job_id, at, name, text, node_name)
    SELECT id, finished, %(state)s, %(told)s, '' FROM ended
)
SELECT finished, extract(epoch FROM finished - created)::float8,
       extract(epoch FROM (SELECT min(a.started) FROM jobs_unit u JOIN jobs_attempt a ON a.unit_id = u.id
                           WHERE u.job_id = ended.id) - created)::float8
FROM ended
"""


def advance(job_id: int) -> str:
    """Moves the job on as far as it goes; harmless at any time. Returns the job's state."""
    with transaction.atomic():
        job = Job.objects.select_for_update(no_key=True).filter(pk=job_id).first()
        if job is None:
            return "gone"
        look_at(job)
        return job.state


def unit_ended(job_id: int, unit_id: int, stage: str, *, is_done: bool) -> None:
    """Moves the job on after one of its units is over. Needs the job's row lock.

    While more of its stage and group is open and nothing waits for this very unit, nothing can follow.
    """
    is_moving, stage_is_open, is_input = AFTER_END.fetch(job=job_id, unit=unit_id, stage=stage)[0]
    goes_on = is_moving and stage_is_open
    if goes_on and not is_input:
        return
    job = Job.objects.get(pk=job_id)
    failed = is_input and close_input(kind_named(job.kind), job_id, unit_id, is_done=is_done)
    if failed or not goes_on:
        look_at(job)


def look_at(job: Job) -> None:
    """Opens what can be opened, and ends the job when nothing more comes. Needs the job's row lock.

    A job with stages of another version is left to the nodes that know them.
    """
    if job.state not in (JobState.RUNNING, JobState.PAUSED):
        return
    job_changed(job.pk)
    kind = kind_named(job.kind)
    seen = _with_barriers(kind, job)
    if unknown := seen.counts.keys() - kind.order.keys():
        logger.warning("job %s has stages that this version does not know: %s", job.pk, ", ".join(sorted(unknown)))
        return
    seen = _joined(kind, job.pk, seen)
    match next_move(kind.rules, seen.counts, timed=seen.timed):
        case Move.GO_ON:
            gather(kind, job.pk, seen)
        case Move.FAIL:
            _give_up(job, broken_stages(kind.rules, seen.counts))
        case Move.STUCK:
            _give_up(job, [])
        case Move.END:
            _end(job, JobState.DONE, "", gaps(seen.counts))


def _with_barriers(kind: JobKind, job: Job) -> Snapshot:
    """A job from before barriers were there from the start gets the units of those that it lacks."""
    seen = final_snapshot_of(job.pk)
    missing = [unit for unit in kind.barriers() if unit.stage not in seen.counts]
    return snapshot_of(job.pk) if missing and queue_units(kind, job.pk, missing) else seen


def _joined(kind: JobKind, job_id: int, seen: Snapshot) -> Snapshot:
    """Opens and fails what waits, as far as it goes; returns the job as it is then."""
    while close_stages(kind, job_id, seen) or seen.may_open:
        if not open_joins(kind, job_id, Unit.objects.filter(job=job_id)):
            return snapshot_of(job_id)
        seen = snapshot_of(job_id)
    return seen


def _give_up(job: Job, stages: Sequence[str]) -> None:
    """Whatever the held and blocked units wait for will not come any more."""
    waiting = Unit.objects.filter(job=job, state__in=[UnitState.HELD, UnitState.BLOCKED])
    waiting.update(state=UnitState.CANCELLED, finished=Now(), error=OTHERS_FAILED)
    withdraw_from_job(job.pk)
    broken = list(Unit.objects.filter(job=job, stage__in=stages, state__in=BROKEN_UNIT_STATES).order_by("id"))
    told = [unit for unit in broken if unit.error not in (NOTHING_DONE, OTHERS_FAILED)] or _broken_anywhere(job)
    named = "; ".join(_named_error(job, unit) for unit in told[:NAMED_ERRORS])
    # What it was done without before is still true of the result of then.
    _end(job, JobState.FAILED, named or WAIT_FOR_EACH_OTHER, job.gaps)


def _broken_anywhere(job: Job) -> list[Unit]:
    """What failed where a stage bore it all, so that what waited for it had nothing."""
    broken = Unit.objects.filter(job=job, state__in=BROKEN_UNIT_STATES).exclude(error__in=[NOTHING_DONE, OTHERS_FAILED])
    return list(broken.order_by("id"))


def _named_error(job: Job, unit: Unit) -> str:
    """Which of many broke; where there is but one of its stage, a number would say nothing."""
    is_one_of_many = unit.stage == kind_named(job.kind).main_stage
    return f"{unit.stage} {unit.ordinal}: {unit.error}" if is_one_of_many else unit.error


def _end(job: Job, state: JobState, error: str, without: int) -> None:
    job.state, job.error, job.waiting, job.gaps = state, error, "", without
    with connection.cursor() as cursor:
        told = f"{state}: {error}" if error else ended_words(state, without)
        cursor.execute(_END, {"job": job.pk, "state": state, "error": error, "gaps": without, "told": told})
        job.finished, took, waited = cursor.fetchone()
    job_changed(job.pk, at_once=True)
    count_finished(job.kind, state, took=took, waited=waited)
