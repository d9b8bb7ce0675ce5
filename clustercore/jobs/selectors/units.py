"""Reads units, their tries, and the lines of a job's story: all of a narrow job, and some of one that is wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet

from clustercore.jobs.domain.kinds import outline_of
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.pieces import UnitWindow
from clustercore.jobs.domain.progress import AttemptLine, EventLine, FileLine, JobProgress, UnitProgress
from clustercore.jobs.domain.result_files import ResultFile, files_from_json
from clustercore.jobs.models import Attempt, Job, JobEvent, Unit
from clustercore.jobs.selectors.work import main_stage_of, served_label

IN_HAND, TROUBLED, NEXT, LAST_DONE = 60, 20, 20, 40
"""How many units of a wide job are shown: those in hand, those that went wrong or wait for a person, those that are due
next, and the done ones that come last in order."""
PAGE_UNITS = 500
"""On one page of the units of a wide job in order."""
TRIES = 5
"""The last of each unit that are shown of a wide job."""
_TROUBLE = (UnitState.FAILED, UnitState.DEAD, UnitState.OVERDUE, UnitState.HELD)
_ATTEMPT_FIELDS = ("id", "unit_id", "stage", "ordinal", "number", "node", "outcome", "started", "ended", "reason")
_ATTEMPT_COLUMNS = (
    *("id", "unit_id", "unit__stage", "unit__ordinal", "number", "node_name", "outcome"),
    *("started", "ended", "reason"),
)
_UNIT_COLUMNS = (
    *("job_id", "id", "stage", "ordinal", "state", "progress", "attempts_made"),
    *("error", "hold_reason", "files"),
)
# Each part walks one index in its order, and stops.
_WINDOW = """
(SELECT id, 'in hand' FROM jobs_unit WHERE job_id = %(job)s AND state = 'leased'
 ORDER BY stage, ordinal LIMIT %(in_hand)s)
UNION ALL
SELECT one.id, 'troubled' FROM unnest(%(trouble)s::text[]) AS trouble(state) CROSS JOIN LATERAL (
    SELECT id FROM jobs_unit u WHERE job_id = %(job)s AND u.state = trouble.state
    ORDER BY stage, ordinal LIMIT %(troubled)s) AS one
UNION ALL
(SELECT id, 'next' FROM jobs_unit WHERE job_id = %(job)s AND state = 'queued' ORDER BY priority DESC, id LIMIT %(next)s)
UNION ALL
(SELECT id, 'last done' FROM jobs_unit WHERE job_id = %(job)s AND state = 'done' AND stage = %(stage)s
 ORDER BY ordinal DESC LIMIT %(last_done)s)
"""
_EVENTS = """
SELECT e.id FROM unnest(%s::bigint[]) AS wanted(job_id) CROSS JOIN LATERAL (
    SELECT id FROM jobs_jobevent WHERE job_id = wanted.job_id ORDER BY id DESC LIMIT %s) AS e
"""
# What a blocked unit waits for, by stage: a whole stage of its job, or so many units of one.
_INPUTS = """
SELECT i.unit_id, coalesce(nullif(i.stage, ''), after.stage) AS stage, count(i.after_id)
FROM jobs_unitafter i LEFT JOIN jobs_unit after ON after.id = i.after_id
WHERE i.unit_id = ANY(%s) AND i.outcome = 'open' GROUP BY 1, 2 ORDER BY 1, 2
"""


def units_of(job_id: int) -> list[UnitProgress]:
    """All units of a job by stage, then in the order in which they were queued, each with its latest attempt.

    What waits for the others is there from the start, and would stand before them. Three queries.
    """
    kind = Job.objects.filter(pk=job_id).values_list("kind", flat=True).first()
    known = outline_of(kind) if kind is not None else None
    places = {stage: place for place, stage in enumerate(known.stages)} if known is not None else {}
    return sorted(units_by_job([job_id]).get(job_id, []), key=lambda unit: places.get(unit.stage, 0))


def units_by_job(ids: Sequence[int]) -> dict[int, list[UnitProgress]]:
    """As `units_of`, for many jobs at once; in two queries all the same."""
    return _units(Unit.objects.filter(job_id__in=list(ids)).order_by("job_id", "id"))


def units_page(job_id: int, after: int, limit: int, *, state: str = "", stage: str = "") -> list[UnitProgress]:
    """Up to `limit` units of a job with an id above `after`, by id; of one state or stage, if given. Three queries."""
    units = Unit.objects.filter(job_id=job_id, pk__gt=after).order_by("id")
    units = units.filter(state=state) if state else units
    units = units.filter(stage=stage) if stage else units
    ids = list(units.values_list("pk", flat=True)[:limit])
    return _units(Unit.objects.filter(pk__in=ids).order_by("id")).get(job_id, [])


def attempts_page(job_id: int, after: int, limit: int) -> list[AttemptLine]:
    """Up to `limit` tries at units of a job with an id above `after`, by id. One query."""
    attempts = Attempt.objects.filter(unit__job_id=job_id, pk__gt=after).select_related("unit").order_by("id")
    return [_attempt(attempt) for attempt in attempts.defer("unit__payload", "unit__result")[:limit]]


def events_page(job_id: int, after: int, limit: int) -> list[EventLine]:
    """Up to `limit` lines of a job's story with an id above `after`, by id. One query."""
    events = JobEvent.objects.filter(job_id=job_id, pk__gt=after).order_by("id")[:limit]
    return [_event(event) for event in events]


def pieces_by_job(jobs: Iterable[JobProgress]) -> dict[int, list[UnitProgress]]:
    """The units that people count of each job, by ordinal: the grid of pieces. Two queries."""
    stages = {job.id: main_stage_of(job.kind) for job in jobs}
    units = Unit.objects.filter(job_id__in=list(stages)).order_by("job_id", "ordinal", "id")
    if None not in stages.values():
        units = units.filter(stage__in=set(stages.values()))
    found = _units(units)
    return {job_id: [one for one in found[job_id] if stages[job_id] in (None, one.stage)] for job_id in found}


def window_of(job: JobProgress) -> UnitWindow:
    """The units of a wide job that a person asks for first. Three queries, whose cost does not grow with the job."""
    wanted: dict[str, Any] = {
        **{"job": job.id, "stage": job.counted_stage, "trouble": list(_TROUBLE)},
        **{"in_hand": IN_HAND, "troubled": TROUBLED, "next": NEXT, "last_done": LAST_DONE},
    }
    with connection.cursor() as cursor:
        cursor.execute(_WINDOW, wanted)
        rows = cursor.fetchall()
    ids = [unit_id for unit_id, _ in rows]
    units = {unit.id: unit for unit in _units(Unit.objects.filter(pk__in=ids)).get(job.id, [])}

    def part(name: str, most: int) -> tuple[UnitProgress, ...]:
        # A unit may have gone on between the two queries, but not away.
        return tuple(units[unit_id] for unit_id, of in rows if of == name and unit_id in units)[:most]

    return UnitWindow(
        in_hand=part("in hand", IN_HAND),
        troubled=part("troubled", TROUBLED),
        next=part("next", NEXT),
        last_done=part("last done", LAST_DONE)[::-1],
    )


def units_in_order(job: JobProgress, first: int, *, state: str = "") -> list[UnitProgress]:
    """Up to `PAGE_UNITS` and one of the units that people count, by ordinal from `first` on; of one state, if given."""
    units = Unit.objects.filter(job_id=job.id, stage=job.counted_stage, ordinal__gte=first).order_by("ordinal")
    units = units.filter(state=state) if state else units
    ids = list(units.values_list("pk", flat=True)[: PAGE_UNITS + 1])
    return _units(Unit.objects.filter(pk__in=ids).order_by("ordinal")).get(job.id, [])


def _units(units: QuerySet[Unit]) -> dict[int, list[UnitProgress]]:
    # Plain rows here too: a job of two hundred pieces is read four times a second while somebody watches.
    rows = list(units.values_list(*_UNIT_COLUMNS))
    tries = Attempt.objects.filter(unit__in=units.order_by().values("pk"), number=F("unit__attempts_made")).order_by()
    latest = {unit_id: rest for unit_id, *rest in tries.values_list("unit_id", "node_name", "served_by", "reason")}
    waits = _inputs([unit_id for _, unit_id, _, _, state, *_ in rows if state == UnitState.BLOCKED])
    found: dict[int, list[UnitProgress]] = {}
    for job_id, *row in rows:
        found.setdefault(job_id, []).append(_unit(row, latest.get(row[0]), waits.get(row[0], "")))
    return found


def _inputs(blocked: Sequence[int]) -> dict[int, str]:
    """What each of these units waits for, in words. One query, none for no units."""
    if not blocked:
        return {}
    found: dict[int, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_INPUTS, [list(blocked)])
        for unit_id, stage, units in cursor.fetchall():
            found.setdefault(unit_id, []).append(f"{units} of {stage}" if units else f"all of {stage}")
    return {unit_id: f"waits for {', '.join(stages)}" for unit_id, stages in found.items()}


def file_of(job_id: int, unit_id: int, name: str) -> ResultFile | None:
    """What is known of one file that a unit of the job made."""
    found = Unit.objects.filter(job_id=job_id, pk=unit_id).values_list("files", flat=True).first() or {}
    return files_from_json(found).get(name)


def attempts_of(job_id: int) -> list[AttemptLine]:
    """Every try at a unit of a job, in the order in which they began. One query."""
    return attempts_by_job([job_id]).get(job_id, [])


def attempts_by_job(ids: Sequence[int]) -> dict[int, list[AttemptLine]]:
    """As `attempts_of`, for many jobs at once. One query."""
    return _attempts(Attempt.objects.filter(unit__job_id__in=list(ids)))


def last_attempts_at(unit_ids: Sequence[int]) -> dict[int, list[AttemptLine]]:
    """The last few tries at each of these units, by job, in the order in which they began. One query."""
    late = F("unit__attempts_made") - TRIES
    return _attempts(Attempt.objects.filter(unit_id__in=list(unit_ids), number__gt=late))


def _attempts(attempts: QuerySet[Attempt]) -> dict[int, list[AttemptLine]]:
    found: dict[int, list[AttemptLine]] = {}
    columns = attempts.order_by("started", "id").values_list("unit__job_id", "served_by", *_ATTEMPT_COLUMNS)
    for job_id, served_by, *values in columns:
        line = AttemptLine(served_by=served_label(served_by), **dict(zip(_ATTEMPT_FIELDS, values, strict=True)))
        found.setdefault(job_id, []).append(line)
    return found


def latest_events(ids: Sequence[int], each: int) -> dict[int, list[EventLine]]:
    """The last lines of each job's story, oldest first, at most `each` of a job. Two queries."""
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS, [list(ids), each])
        lines = [event_id for (event_id,) in cursor.fetchall()]
    found: dict[int, list[EventLine]] = {}
    for event in JobEvent.objects.filter(pk__in=lines).order_by("id"):
        found.setdefault(event.job_id, []).append(_event(event))
    return found


def _unit(row: Sequence[Any], latest: Sequence[Any] | None, waits: str) -> UnitProgress:
    unit_id, stage, ordinal, state, progress, attempts, error, hold_reason, files = row
    node, served, reason = latest if latest is not None else ("", {}, "")
    return UnitProgress(
        id=unit_id,
        stage=stage,
        ordinal=ordinal,
        state=state,
        progress=progress,
        attempts=attempts,
        node=node,
        served_by=served_label(served),
        rung=served.get("rung"),
        seconds=served.get("seconds"),
        audio_seconds=served.get("audio_seconds"),
        device=served.get("device") or "",
        note=error or hold_reason or waits or reason,
        files=tuple(FileLine(name=name, **file) for name, file in sorted(files.items())),
    )


def _event(event: JobEvent) -> EventLine:
    return EventLine(id=event.pk, at=event.at, name=event.name, text=event.text, node=event.node_name)


def _attempt(attempt: Attempt) -> AttemptLine:
    return AttemptLine(
        id=attempt.pk,
        unit_id=attempt.unit_id,
        stage=attempt.unit.stage,
        ordinal=attempt.unit.ordinal,
        number=attempt.number,
        node=attempt.node_name,
        outcome=attempt.outcome,
        started=attempt.started,
        ended=attempt.ended,
        reason=attempt.reason,
        served_by=served_label(attempt.served_by),
    )
