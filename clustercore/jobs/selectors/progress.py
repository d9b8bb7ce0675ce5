"""How far jobs are, for any number of jobs in the same few queries: pages, the API, streams and metrics read here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection
from django.db.models import Count, F, FloatField, QuerySet, Sum, Window
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Now, RowNumber

from clustercore.jobs.domain.kinds import outline_of
from clustercore.jobs.domain.lifecycle import BAD_UNIT_STATES, OPEN_UNIT_STATES, AttemptOutcome, JobState, UnitState
from clustercore.jobs.domain.progress import AttemptLine, EventLine, FileLine, JobProgress, NodeShare, UnitProgress
from clustercore.jobs.domain.result_files import ResultFile, files_from_json
from clustercore.jobs.models import Attempt, Job, JobEvent, Unit
from clustercore.jobs.selectors.line import places_in_line
from clustercore.jobs.selectors.questions import first_question, question_ids
from clustercore.nodes.domain.speed import speed_of

Counts = Sequence[Mapping[str, Any]]
_ATTEMPT_FIELDS = ("id", "unit_id", "stage", "ordinal", "number", "node", "outcome", "started", "ended", "reason")
_ATTEMPT_COLUMNS = (
    *("id", "unit_id", "unit__stage", "unit__ordinal", "number", "node_name", "outcome"),
    *("started", "ended", "reason"),
)
_UNIT_COLUMNS = (
    *("job_id", "id", "stage", "ordinal", "state", "progress", "attempts_made"),
    *("error", "hold_reason", "files"),
)
_COLUMNS = (
    *("id", "kind", "title", "state", "stage", "priority", "language", "waiting", "error", "shared"),
    *("owner_id", "owner__username", "created", "finished", "shortened", "gaps", "now", "asks", "question_ids"),
)


def job_progress(jobs: QuerySet[Job], *, with_shares: bool = False) -> list[JobProgress]:
    """The jobs of a query set (sliced or not) in its order, in two queries; one more with what each node did, and one
    more where one waits in line."""
    # Plain rows: for a list of jobs, model instances would cost as much as everything else.
    asked = jobs.annotate(now=Now(), asks=first_question(), question_ids=question_ids())
    rows = list(asked.values_list(*_COLUMNS, named=True))
    main_stages = {job.id: main_stage_of(job.kind) for job in rows}
    counts = _unit_counts(main_stages)
    shares = _shares(main_stages) if with_shares else {}
    found = [_progress(job, counts.get(job.id, []), tuple(shares.get(job.id, ()))) for job in rows]
    if all(job.has_begun or job.is_over for job in found):
        return found
    in_line = places_in_line()
    return [replace(job, place=in_line.get(job.id)) for job in found]


@dataclass(frozen=True, slots=True)
class Work:
    """How long anything of a job was in hand, on the clock, and how much sound was heard."""

    seconds: float = 0.0
    audio_seconds: float = 0.0

    @property
    def speed(self) -> float | None:
        return speed_of(self.audio_seconds, self.seconds)


# What ran side by side counts once. A clock that was set back must not make a time that ends before it begins.
_SHOWN = "WITH shown AS (SELECT * FROM unnest(%s::bigint[], %s::text[]) AS shown(job_id, main))"
_WORK = """
SELECT job_id, coalesce(audio, 0.0) AS audio,
       coalesce((SELECT extract(epoch FROM sum(upper(part) - lower(part)))::float8 FROM unnest(parts) part), 0.0)
       AS seconds
FROM (
    SELECT shown.job_id, sum(a.audio) AS audio, range_agg(tstzrange(least(a.started, a.ended), a.ended)) AS parts
    FROM shown JOIN jobs_unit u ON u.job_id = shown.job_id
    CROSS JOIN LATERAL (
        SELECT started, coalesce(ended, now()) AS ended,
               CASE WHEN outcome = 'done' AND (shown.main IS NULL OR u.stage = shown.main)
                    THEN (served_by ->> 'audio_seconds')::float8 END AS audio
        FROM jobs_attempt WHERE unit_id = u.id
    ) a
    GROUP BY shown.job_id
) tried
"""


def work_of(main_stages: Mapping[int, str | None]) -> dict[int, Work]:
    """Returns the work done of these jobs, given the main stage of each; one query, none for no jobs."""
    if not main_stages:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(f"{_SHOWN} {_WORK}", [list(main_stages), list(main_stages.values())])
        return {job_id: Work(seconds, audio) for job_id, audio, seconds in cursor.fetchall()}


def main_stage_of(kind: str) -> str | None:
    """The stage whose units people count; None for a kind that this process does not know."""
    known = outline_of(kind)
    return known.main_stage if known is not None else None


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


def units_page(job_id: int, after: int, limit: int) -> list[UnitProgress]:
    """Up to `limit` units of a job with an id above `after`, by id. Three queries."""
    units = Unit.objects.filter(job_id=job_id, pk__gt=after).order_by("id")
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


def _units(units: QuerySet[Unit]) -> dict[int, list[UnitProgress]]:
    # Plain rows here too: a job of two hundred pieces is read four times a second while somebody watches.
    rows = list(units.values_list(*_UNIT_COLUMNS))
    tries = Attempt.objects.filter(unit__in=units.order_by().values("pk"), number=F("unit__attempts_made")).order_by()
    latest = {unit_id: rest for unit_id, *rest in tries.values_list("unit_id", "node_name", "served_by", "reason")}
    found: dict[int, list[UnitProgress]] = {}
    for job_id, *row in rows:
        found.setdefault(job_id, []).append(_unit(row, latest.get(row[0])))
    return found


def file_of(job_id: int, unit_id: int, name: str) -> ResultFile | None:
    """What is known of one file that a unit of the job made."""
    found = Unit.objects.filter(job_id=job_id, pk=unit_id).values_list("files", flat=True).first() or {}
    return files_from_json(found).get(name)


def attempts_of(job_id: int) -> list[AttemptLine]:
    """Every try at a unit of a job, in the order in which they began. One query."""
    return attempts_by_job([job_id]).get(job_id, [])


def attempts_by_job(ids: Sequence[int]) -> dict[int, list[AttemptLine]]:
    """As `attempts_of`, for many jobs at once. One query."""
    attempts = Attempt.objects.filter(unit__job_id__in=list(ids)).order_by("started", "id")
    found: dict[int, list[AttemptLine]] = {}
    for job_id, served_by, *values in attempts.values_list("unit__job_id", "served_by", *_ATTEMPT_COLUMNS):
        line = AttemptLine(served_by=served_label(served_by), **dict(zip(_ATTEMPT_FIELDS, values, strict=True)))
        found.setdefault(job_id, []).append(line)
    return found


def latest_events(ids: Sequence[int], each: int) -> dict[int, list[EventLine]]:
    """The last lines of each job's story, oldest first, at most `each` of a job. One query."""
    place = Window(RowNumber(), partition_by=F("job_id"), order_by=F("id").desc())
    events = JobEvent.objects.filter(job_id__in=list(ids)).annotate(place=place).filter(place__lte=each).order_by("id")
    found: dict[int, list[EventLine]] = {}
    for event in events:
        found.setdefault(event.job_id, []).append(_event(event))
    return found


def served_label(served_by: Mapping[str, Any]) -> str:
    """`engine:model`, as far as an attempt says."""
    return ":".join(str(part) for part in (served_by.get("engine"), served_by.get("model")) if part)


_COUNTS = f"""
{_SHOWN}
SELECT counted.*, work.seconds, work.audio
FROM (
    SELECT u.job_id, u.stage, u.state, count(*) AS units, sum(u.weight) AS weight_sum,
           sum(u.weight * u.progress) AS begun
    FROM shown JOIN jobs_unit u ON u.job_id = shown.job_id GROUP BY u.job_id, u.stage, u.state
) counted LEFT JOIN ({_WORK}) work ON work.job_id = counted.job_id
"""


def _unit_counts(main_stages: Mapping[int, str | None]) -> dict[int, list[Mapping[str, Any]]]:
    """The units of each job by stage and state; each row tells the job's work as well."""
    counted: dict[int, list[Mapping[str, Any]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [list(main_stages), list(main_stages.values())])
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


def _progress(job: Any, counts: Counts, shares: tuple[NodeShare, ...]) -> JobProgress:
    main_stage = main_stage_of(job.kind)
    main = [row for row in counts if main_stage is None or row["stage"] == main_stage]
    ended = job.finished or job.now
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
        all_queued=job.state == JobState.DONE or _all_queued(job.kind, counts),
        shares=shares,
        has_begun=_has_begun(counts) or job.asks is not None,
        worked_seconds=(counts[0]["seconds"] or 0.0) if counts else 0.0,
        audio_seconds=(counts[0]["audio"] or 0.0) if counts else 0.0,
    )


def _all_queued(kind: str, counts: Counts) -> bool:
    """Units of the main stage come from the stages before it: while one of those is open, more may come."""
    known = outline_of(kind)
    if known is None:
        return False
    before = known.before_main
    earlier = [row for row in counts if row["stage"] in before]
    return (bool(earlier) or not before) and not _count(earlier, *OPEN_UNIT_STATES)


def _count(rows: Iterable[Mapping[str, Any]], *states: str) -> int:
    return sum(row["units"] for row in rows if not states or row["state"] in states)


def _fraction(rows: Counts) -> float:
    total = sum(row["weight_sum"] for row in rows)
    done = sum(row["weight_sum"] for row in rows if row["state"] == UnitState.DONE)
    begun = sum(row["begun"] for row in rows if row["state"] == UnitState.LEASED)
    return (done + begun) / total if total else 0.0


def _shares(main_stages: Mapping[int, str | None]) -> dict[int, list[NodeShare]]:
    told = (AttemptOutcome.DONE, AttemptOutcome.LIVE)
    attempts = Attempt.objects.filter(unit__job_id__in=list(main_stages), outcome__in=told).order_by()
    engine = ("served_by__engine", "served_by__model", "served_by__rung")
    groups = attempts.values("unit__job_id", "unit__stage", "node_name", "outcome", *engine)
    rows = groups.annotate(units=Count("id"), audio=_sum_of("audio_seconds"), work=_sum_of("seconds"))
    by_job: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        if main_stages[row["unit__job_id"]] in (None, row["unit__stage"]):
            by_job.setdefault(row["unit__job_id"], []).append(dict(row))
    return {job_id: _shares_of(found) for job_id, found in by_job.items()}


def _shares_of(rows: Counts) -> list[NodeShare]:
    """One share for each engine that served on a node; what runs there is counted with the first of them."""
    running: dict[str, int] = {}
    for row in rows:
        if row["outcome"] == AttemptOutcome.LIVE:
            running[row["node_name"]] = running.get(row["node_name"], 0) + row["units"]
    done = [row for row in rows if row["outcome"] == AttemptOutcome.DONE]
    shares = [_share(row, running.pop(row["node_name"], 0)) for row in done]
    begun = [NodeShare(node=node, served_by="", done=0, running=n, work_seconds=0.0) for node, n in running.items()]
    return sorted([*shares, *begun], key=lambda share: (share.node, share.served_by))


def _sum_of(key: str) -> Sum:
    return Sum(Cast(KT(f"served_by__{key}"), FloatField()))


def _share(row: Mapping[str, Any], running: int) -> NodeShare:
    return NodeShare(
        node=row["node_name"],
        served_by=served_label({"engine": row["served_by__engine"], "model": row["served_by__model"]}),
        done=row["units"],
        running=running,
        work_seconds=row["work"] or 0.0,
        audio_seconds=row["audio"] or 0.0,
        rung=row["served_by__rung"],
    )


def _unit(row: Sequence[Any], latest: Sequence[Any] | None) -> UnitProgress:
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
        note=error or hold_reason or reason,
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
