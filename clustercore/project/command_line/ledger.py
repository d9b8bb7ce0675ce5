"""From the ledger to the figures that the screens show, in few and cheap queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from django.db.models import QuerySet

from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.domain.progress import WAITING, JobProgress, UnitProgress
from clustercore.jobs.domain.progress import NodeShare as ShareProgress
from clustercore.jobs.models import Job, JobEvent
from clustercore.jobs.selectors import progress, units
from clustercore.jobs.selectors.work import served_label
from clustercore.nodes.domain.inventory import TieredModel
from clustercore.nodes.domain.standing import NodeStanding
from clustercore.nodes.selectors import node_standings, working_nodes
from clustercore.project.command_line.console import CommandError, ExitCode
from clustercore.project.command_line.figures import (
    EventFigures,
    JobFigures,
    ModelFigures,
    NodeFigures,
    NodeShare,
    UnitFigures,
)
from transcription.domain.sampling import SAMPLE_RATE
from transcription.models import Piece, Recording

NO_NODE = "no node is taking work: start one with `clustercore node` (or see `clustercore nodes` for holds)"


def require_jobs(ids: Sequence[int]) -> None:
    """Raises CommandError that names the ids which are no job."""
    known = set(Job.objects.filter(pk__in=ids).values_list("pk", flat=True))
    missing = [str(one) for one in ids if one not in known]
    if missing:
        message = f"there is no job {', '.join(missing)}; `clustercore jobs` lists them"
        raise CommandError(message, ExitCode.USAGE)


def jobs_now(ids: Sequence[int]) -> list[JobFigures]:
    """These jobs in full, in this order; what was removed meanwhile is left out. A handful of queries."""
    found = {job.id: job for job in _figures(Job.objects.filter(pk__in=list(ids)), with_shares=True)}
    jobs = [found[one] for one in ids if one in found]
    return jobs if working_nodes().exists() else [_without_nodes(job) for job in jobs]


def _without_nodes(job: JobFigures) -> JobFigures:
    """Agents say why a job waits; where there is none, nobody has said it yet."""
    if job.is_over or job.waiting:
        return job
    return replace(job, waiting=NO_NODE, standing=WAITING if job.state == "running" else job.state)


def latest_jobs(state: str | None, limit: int) -> list[JobFigures]:
    """The newest jobs first, without what each node did."""
    jobs = Job.objects.order_by("-id")
    if state is not None:
        jobs = jobs.filter(state=state)
    return _figures(jobs[:limit], with_shares=False)


def units_of(job_id: int) -> list[UnitFigures]:
    """All units of a job in order, each with its latest attempt."""
    pieces = {one.unit_id: one for one in Piece.objects.filter(recording__job_id=job_id)}
    return [_unit(unit, pieces.get(unit.id)) for unit in units.units_of(job_id)]


def events_of(job_id: int, limit: int = 30) -> list[EventFigures]:
    """The last lines of a job's story, oldest first."""
    lines = units.latest_events([job_id], limit).get(job_id, [])
    return [EventFigures(at=line.at, name=line.name, text=line.text, node=line.node) for line in lines]


def all_nodes() -> list[NodeFigures]:
    """Every node that ever registered, live ones first."""
    return [_node(node) for node in node_standings()]


def _figures(jobs: QuerySet[Job], *, with_shares: bool) -> list[JobFigures]:
    found = progress.job_progress(jobs, with_shares=with_shares)
    ids = [job.id for job in found]
    seconds = dict(Recording.objects.filter(job_id__in=ids).values_list("job_id", "seconds"))
    notes = _notes(ids)
    return [_job(job, seconds.get(job.id), tuple(notes.get(job.id, ()))) for job in found]


def _notes(ids: Sequence[int]) -> dict[int, list[str]]:
    noted: dict[int, list[str]] = {}
    for event in JobEvent.objects.filter(job_id__in=ids, name=NOTE).order_by("id"):
        noted.setdefault(event.job_id, []).append(event.text)
    return noted


def _job(job: JobProgress, seconds: float | None, notes: tuple[str, ...]) -> JobFigures:
    return JobFigures(
        id=job.id,
        title=job.title,
        state=job.state,
        stage=job.stage,
        priority=job.priority,
        language=job.language,
        waiting=_waits_for(job),
        error=job.error,
        created=job.created,
        finished=job.finished,
        elapsed=job.elapsed_seconds,
        standing=job.standing,
        place=job.place.number if job.place is not None else None,
        starts_in_seconds=job.place.starts_in_seconds if job.place is not None else None,
        waited_seconds=job.waited_seconds,
        worked_seconds=job.worked_seconds,
        speed=job.speed,
        seconds_left=job.seconds_left,
        audio_seconds=seconds,
        done=job.done,
        running=job.running,
        failed=job.failed,
        total=job.total,
        gaps=job.gaps,
        fraction=job.fraction,
        cut=job.all_queued,
        shares=tuple(_share(share) for share in job.shares),
        notes=notes,
    )


def _waits_for(job: JobProgress) -> str:
    if job.asks:
        return f"waits for you: {job.asks} (`clustercore answer {job.id}`)"
    return job.waiting


def _share(share: ShareProgress) -> NodeShare:
    return NodeShare(
        node=share.node,
        served_by=share.served_by,
        rung=share.rung,
        pieces=share.done,
        audio_seconds=share.audio_seconds,
        work_seconds=share.work_seconds,
        running=share.running,
    )


def _unit(unit: UnitProgress, piece: Piece | None) -> UnitFigures:
    return UnitFigures(
        id=unit.id,
        stage=unit.stage,
        ordinal=unit.ordinal,
        state=unit.state,
        attempts=unit.attempts,
        node=unit.node,
        served_by=unit.served_by,
        rung=unit.rung,
        seconds=unit.seconds,
        speed=unit.speed,
        start=piece.start_sample / SAMPLE_RATE if piece is not None else None,
        end=piece.end_sample / SAMPLE_RATE if piece is not None else None,
        note=unit.note,
    )


def _node(node: NodeStanding) -> NodeFigures:
    return NodeFigures(**{one.name: getattr(node, one.name) for one in fields(NodeFigures)})


def model_figures(model: TieredModel, tests: dict[str, Any]) -> ModelFigures:
    """A model as this machine's own engines tell it, without the ledger."""
    record = model.record
    label = served_label({"engine": record.engine, "model": record.model})
    return ModelFigures(
        capability=record.capability,
        label=label,
        rung=model.rung,
        traits=record.traits,
        memory_mb=record.memory_mb,
        usable=record.usable,
        reason=record.reason,
        self_test=tests.get(label, {}),
    )
