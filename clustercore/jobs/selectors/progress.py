"""How far jobs are, for any number of jobs in the same few queries: pages, the API, streams and metrics read here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from clustercore.jobs.domain.kinds import outline_of
from clustercore.jobs.domain.lifecycle import (
    BAD_UNIT_STATES,
    BROKEN_UNIT_STATES,
    OPEN_UNIT_STATES,
    JobState,
    UnitState,
)
from clustercore.jobs.domain.progress import WIDE_UNITS, JobProgress, StageCounts
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.line import places_in_line
from clustercore.jobs.selectors.questions import first_question, question_ids
from clustercore.jobs.selectors.work import Work, main_stage_of, paces_of, shares_of, work_of

Counts = Sequence[Mapping[str, Any]]
_COLUMNS = (
    *("id", "kind", "title", "state", "stage", "priority", "language", "waiting", "error", "shared"),
    *("owner_id", "owner__username", "created", "finished", "shortened", "gaps", "now", "asks", "question_ids"),
)
# One index answers it, however many units there are: it is asked for one (state, stage) after the other, and then for
# how many there are of each. Grouping would compare two words for each unit. Only what is in hand is looked at itself.
_COUNTS = """
WITH RECURSIVE found AS (
    SELECT wanted.job_id, first.* FROM unnest(%s::bigint[]) AS wanted(job_id) CROSS JOIN LATERAL (
        SELECT state, stage FROM jobs_unit WHERE job_id = wanted.job_id ORDER BY state, stage LIMIT 1) first
    UNION ALL
    SELECT found.job_id, next.* FROM found CROSS JOIN LATERAL (
        SELECT state, stage FROM jobs_unit
        WHERE job_id = found.job_id AND (state, stage) > (found.state, found.stage) ORDER BY state, stage LIMIT 1) next
)
SELECT found.*, counted.*, CASE WHEN state = 'leased' THEN (
    SELECT sum(u.weight * u.progress) FROM jobs_unit u
    WHERE u.job_id = found.job_id AND u.state = 'leased' AND u.stage = found.stage
) ELSE 0 END AS begun
FROM found CROSS JOIN LATERAL (
    SELECT count(*) AS units, sum(u.weight) AS weight_sum FROM jobs_unit u
    WHERE u.job_id = found.job_id AND u.state = found.state AND u.stage = found.stage
) counted
"""


def job_progress(jobs: QuerySet[Job], *, with_shares: bool = False) -> list[JobProgress]:
    """The jobs of a query set (sliced or not) in its order, in three queries; one more with what each node did, where
    one waits in line, and where one is wide."""
    # Plain rows: for a list of jobs, model instances would cost as much as everything else.
    asked = jobs.annotate(now=Now(), asks=first_question(), question_ids=question_ids())
    rows = list(asked.values_list(*_COLUMNS, named=True))
    main_stages = {job.id: main_stage_of(job.kind) for job in rows}
    counts = _unit_counts(list(main_stages))
    wide = {job.id: job.finished for job in rows if _count(counts.get(job.id, ())) > WIDE_UNITS}
    work = work_of(main_stages, wide=wide)
    found = [_progress(job, counts.get(job.id, []), work.get(job.id, Work())) for job in rows]
    if with_shares:
        shares = shares_of(main_stages, wide=wide)
        found = [replace(job, shares=tuple(shares.get(job.id, ()))) for job in found]
    return _in_line(_with_paces(found))


def _with_paces(jobs: list[JobProgress]) -> list[JobProgress]:
    running = {job.id: job.counted_stage for job in jobs if job.is_wide and job.state == JobState.RUNNING}
    paces = paces_of(running)
    return [replace(job, pace=paces.get(job.id)) if job.id in running else job for job in jobs]


def _in_line(jobs: list[JobProgress]) -> list[JobProgress]:
    waiting = [job.id for job in jobs if job.state == JobState.RUNNING and not job.has_begun]
    if not waiting:
        return jobs
    places = places_in_line(waiting)
    return [replace(job, place=places.get(job.id)) for job in jobs]


def units_of_stage(ids: Sequence[int], stage: str) -> dict[int, dict[str, int]]:
    """How many units of one stage are in each state, by job, of the jobs that have any. One query."""
    found: dict[int, dict[str, int]] = {}
    for job_id, rows in _unit_counts(ids).items():
        states = {row["state"]: row["units"] for row in rows if row["stage"] == stage}
        if states:
            found[job_id] = states
    return found


def _unit_counts(ids: Sequence[int]) -> dict[int, list[Mapping[str, Any]]]:
    """The units of each job by stage and state."""
    counted: dict[int, list[Mapping[str, Any]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [list(ids)])
        names = [column[0] for column in cursor.description or ()]
        for values in cursor.fetchall():
            row = dict(zip(names, values, strict=True))
            counted.setdefault(row["job_id"], []).append(row)
    return counted


def _has_begun(counts: Counts) -> bool:
    return any(row["state"] not in (UnitState.BLOCKED, UnitState.QUEUED, UnitState.HELD) for row in counts)


def _stage_now(job: Any, main_stage: str | None, counts: Counts) -> str:
    """The stage of what is done now, the main one first, else of what waits for its turn, else of what is held."""
    for state in (UnitState.LEASED, UnitState.QUEUED, UnitState.HELD):
        present = {row["stage"] for row in counts if row["state"] == state}
        if present:
            # A stage that feeds another goes on beside it: people ask where the work is.
            return (
                main_stage
                if main_stage and main_stage in present
                else job.stage
                if job.stage in present
                else min(present)
            )
    return str(job.stage)


def _progress(job: Any, counts: Counts, work: Work) -> JobProgress:
    main_stage = main_stage_of(job.kind)
    main = [row for row in counts if main_stage is None or row["stage"] == main_stage]
    ended = job.finished or job.now
    stages = _by_stage(job.kind, counts)
    return JobProgress(
        id=job.id,
        kind=job.kind,
        title=job.title,
        state=job.state,
        stage=job.stage if job.finished else _stage_now(job, main_stage, counts),
        priority=job.priority,
        language=job.language,
        waiting=job.waiting,
        asks=job.asks or "",
        question_ids=tuple(job.question_ids),
        error=job.error,
        owner_id=job.owner_id,
        owner=job.owner__username or "",
        shared=job.shared,
        created=job.created,
        finished=job.finished,
        shortened=job.shortened,
        elapsed_seconds=(ended - job.created).total_seconds(),
        fraction=1.0 if job.state == JobState.DONE else _fraction(main),
        done=_count(main, UnitState.DONE),
        running=_count(main, UnitState.LEASED),
        failed=_count(main, *BAD_UNIT_STATES),
        total=_count(main),
        gaps=job.gaps,
        all_queued=job.state == JobState.DONE or _all_queued(job, counts),
        has_begun=_has_begun(counts) or job.asks is not None,
        worked_seconds=work.seconds,
        audio_seconds=work.audio_seconds,
        stages=stages,
        counted_stage=main_stage
        or max(stages, key=lambda one: one.total, default=StageCounts(stage="", states=())).stage,
        weight=_weight(main),
        weight_left=_weight(main, *OPEN_UNIT_STATES) - _begun(main),
    )


def _by_stage(kind: str, counts: Counts) -> tuple[StageCounts, ...]:
    """In the order of the kind's stages; those of another version of it come last."""
    known = outline_of(kind)
    order = list(known.stages) if known is not None else []
    found: dict[str, list[tuple[str, int]]] = {}
    for row in sorted(counts, key=lambda row: str(row["state"])):
        found.setdefault(row["stage"], []).append((row["state"], row["units"]))
    names = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    return tuple(StageCounts(stage=name, states=tuple(found[name])) for name in names)


def _largest(stages: Sequence[StageCounts]) -> str:
    return max(stages, key=lambda stage: stage.total).stage if stages else ""


def _all_queued(job: Any, counts: Counts) -> bool:
    """Units of the main stage come from the stages before it: while one of those is open more may come, and where one
    broke and the job ended, there would have been more."""
    known = outline_of(job.kind)
    if known is None:
        return False
    before = known.before_main
    earlier = [row for row in counts if row["stage"] in before]
    missing = BROKEN_UNIT_STATES if job.state in (JobState.FAILED, JobState.CANCELLED) else ()
    return (bool(earlier) or not before) and not _count(earlier, *OPEN_UNIT_STATES, *missing)


def _count(rows: Iterable[Mapping[str, Any]], *states: str) -> int:
    return sum(row["units"] for row in rows if not states or row["state"] in states)


def _weight(rows: Counts, *states: str) -> float:
    return float(sum(row["weight_sum"] for row in rows if not states or row["state"] in states))


def _begun(rows: Counts) -> float:
    return float(sum(row["begun"] or 0.0 for row in rows))


def _fraction(rows: Counts) -> float:
    total = _weight(rows)
    return (_weight(rows, UnitState.DONE) + _begun(rows)) / total if total else 0.0
