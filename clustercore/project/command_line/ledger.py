"""From the ledger to the figures that the screens show, in few and cheap queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Count, F, FloatField, QuerySet, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Now

from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.models import Attempt, Job, JobEvent, Unit
from clustercore.nodes.domain.inventory import RankedRecord
from clustercore.nodes.models import Node, NodeModel
from clustercore.nodes.selectors import live_nodes, working_nodes
from clustercore.project.command_line.console import CommandError, ExitCode
from clustercore.project.command_line.figures import (
    PIECES_STAGE,
    EventFigures,
    JobFigures,
    ModelFigures,
    NodeFigures,
    NodeShare,
    UnitFigures,
)
from transcription.models import Piece, Recording

SAMPLE_RATE = 16_000
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
    return job if job.is_over or job.waiting else replace(job, waiting=NO_NODE)


def latest_jobs(state: str | None, limit: int) -> list[JobFigures]:
    """The newest jobs first, without what each node did."""
    jobs = Job.objects.order_by("-id")
    if state is not None:
        jobs = jobs.filter(state=state)
    return _figures(jobs[:limit], with_shares=False)


def units_of(job_id: int) -> list[UnitFigures]:
    """All units of a job in order, each with its latest attempt."""
    attempts = {one.unit_id: one for one in Attempt.objects.filter(unit__job_id=job_id).order_by("number")}
    pieces = {one.unit_id: one for one in Piece.objects.filter(recording__job_id=job_id)}
    units = Unit.objects.filter(job_id=job_id).defer("payload", "result").order_by("id")
    return [_unit(unit, attempts.get(unit.pk), pieces.get(unit.pk)) for unit in units]


def events_of(job_id: int, limit: int = 30) -> list[EventFigures]:
    """The last lines of a job's story, oldest first."""
    rows = list(JobEvent.objects.filter(job_id=job_id).order_by("-id")[:limit])
    return [EventFigures(at=row.at, name=row.name, text=row.text, node=row.node_name) for row in reversed(rows)]


def all_nodes() -> list[NodeFigures]:
    """Every node that ever registered, live ones first."""
    live = set(live_nodes().values_list("pk", flat=True))
    busy = _live_attempts_by_node()
    models: dict[int, list[NodeModel]] = {}
    for model in NodeModel.objects.order_by("capability", "-rung", "engine", "model"):
        models.setdefault(model.node_id, []).append(model)
    nodes = Node.objects.annotate(now=Now()).order_by("name")
    figures = [_node(node, node.pk in live, busy.get(node.pk, 0), models.get(node.pk, [])) for node in nodes]
    return sorted(figures, key=lambda node: (node.condition == "offline", node.name))


def _figures(jobs: QuerySet[Job], *, with_shares: bool) -> list[JobFigures]:
    rows = list(jobs.annotate(now=Now()))
    ids = [job.pk for job in rows]
    counts = _unit_counts(ids)
    seconds = dict(Recording.objects.filter(job_id__in=ids).values_list("job_id", "seconds"))
    shares = _shares(ids) if with_shares else {}
    notes = _notes(ids)
    return [
        replace(
            _job(job, counts.get(job.pk, []), seconds.get(job.pk)),
            shares=tuple(shares.get(job.pk, ())),
            notes=tuple(notes.get(job.pk, ())),
        )
        for job in rows
    ]


def _notes(ids: Sequence[int]) -> dict[int, list[str]]:
    noted: dict[int, list[str]] = {}
    for event in JobEvent.objects.filter(job_id__in=ids, name="note").order_by("id"):
        noted.setdefault(event.job_id, []).append(event.text)
    return noted


def _unit_counts(ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    counted: dict[int, list[dict[str, Any]]] = {}
    groups = Unit.objects.filter(job_id__in=ids).order_by().values("job_id", "stage", "state")
    for row in groups.annotate(units=Count("id"), weight_sum=Sum("weight"), begun=Sum(F("weight") * F("progress"))):
        counted.setdefault(row["job_id"], []).append(dict(row))
    return counted


def _job(job: Any, counts: list[dict[str, Any]], seconds: float | None) -> JobFigures:
    pieces = [row for row in counts if row["stage"] == PIECES_STAGE]
    ended: datetime = job.finished or job.now
    return JobFigures(
        id=job.pk,
        title=job.title,
        state=job.state,
        stage=job.stage,
        priority=job.priority,
        language=job.language,
        waiting=job.waiting,
        error=job.error,
        created=job.created,
        finished=job.finished,
        elapsed=(ended - job.created).total_seconds(),
        audio_seconds=seconds,
        done=_count(pieces, "done"),
        running=_count(pieces, "leased"),
        failed=_count(pieces, "failed", "dead"),
        total=_count(pieces),
        fraction=1.0 if job.state == "done" else _fraction(pieces),
        cut=seconds is not None,
    )


def _count(rows: list[dict[str, Any]], *states: str) -> int:
    return sum(row["units"] for row in rows if not states or row["state"] in states)


def _fraction(rows: list[dict[str, Any]]) -> float:
    total = sum(row["weight_sum"] for row in rows)
    done = sum(row["weight_sum"] for row in rows if row["state"] == "done")
    begun = sum(row["begun"] for row in rows if row["state"] == "leased")
    return (done + begun) / total if total else 0.0


def _shares(ids: Sequence[int]) -> dict[int, list[NodeShare]]:
    attempts = Attempt.objects.filter(unit__job_id__in=ids, unit__stage=PIECES_STAGE).order_by()
    running = _running_by_node(attempts)
    done = attempts.filter(outcome=AttemptOutcome.DONE).values(
        "unit__job_id", "node_name", "served_by__engine", "served_by__model", "served_by__rung"
    )
    shares: dict[int, list[NodeShare]] = {}
    for row in done.annotate(pieces=Count("id"), audio=_sum_of("audio_seconds"), work=_sum_of("seconds")):
        left = running.pop((row["unit__job_id"], row["node_name"]), 0)
        shares.setdefault(row["unit__job_id"], []).append(_share(dict(row), left))
    for (job_id, node), count in running.items():
        waiting = NodeShare(
            node=node, served_by="", rung=None, pieces=0, audio_seconds=0.0, work_seconds=0.0, running=count
        )
        shares.setdefault(job_id, []).append(waiting)
    return {job_id: sorted(found, key=lambda share: share.node) for job_id, found in shares.items()}


def _running_by_node(attempts: QuerySet[Attempt]) -> dict[tuple[int, str], int]:
    live = attempts.filter(outcome=AttemptOutcome.LIVE).values("unit__job_id", "node_name").annotate(n=Count("id"))
    return {(row["unit__job_id"], row["node_name"]): row["n"] for row in live}


def _sum_of(key: str) -> Sum:
    return Sum(Cast(KT(f"served_by__{key}"), FloatField()))


def _share(row: dict[str, Any], running: int) -> NodeShare:
    return NodeShare(
        node=row["node_name"],
        served_by=_label(row["served_by__engine"], row["served_by__model"]),
        rung=row["served_by__rung"],
        pieces=row["pieces"],
        audio_seconds=row["audio"] or 0.0,
        work_seconds=row["work"] or 0.0,
        running=running,
    )


def _label(engine: str | None, model: str | None) -> str:
    return ":".join(part for part in (engine, model) if part)


def _unit(unit: Unit, attempt: Attempt | None, piece: Piece | None) -> UnitFigures:
    served: dict[str, Any] = attempt.served_by if attempt is not None else {}
    seconds = served.get("seconds")
    audio = served.get("audio_seconds")
    return UnitFigures(
        id=unit.pk,
        stage=unit.stage,
        ordinal=unit.ordinal,
        state=unit.state,
        attempts=unit.attempts_made,
        node=attempt.node_name if attempt is not None else "",
        served_by=_label(served.get("engine"), served.get("model")),
        rung=served.get("rung"),
        seconds=seconds,
        speed=audio / seconds if audio and seconds else None,
        start=piece.start_sample / SAMPLE_RATE if piece is not None else None,
        end=piece.end_sample / SAMPLE_RATE if piece is not None else None,
        note=unit.error or unit.hold_reason or (attempt.reason if attempt is not None else ""),
    )


def _live_attempts_by_node() -> dict[int, int]:
    live = Attempt.objects.filter(outcome=AttemptOutcome.LIVE).order_by().values("node_id").annotate(n=Count("id"))
    return {row["node_id"]: row["n"] for row in live}


def _node(node: Any, is_live: bool, busy: int, models: list[NodeModel]) -> NodeFigures:
    condition, why = _condition(node, is_live)
    tests: dict[str, Any] = (node.self_test or {}).get("models", {})
    return NodeFigures(
        name=node.name,
        hostname=node.hostname,
        condition=condition,
        why=why,
        operating_system=node.operating_system,
        architecture=node.architecture,
        cores=node.cores,
        memory_mb=node.memory_mb,
        gpus=tuple(str(gpu.get("name", "GPU")) for gpu in node.gpus),
        version=node.version,
        slots=node.slots,
        busy=busy,
        seen_seconds_ago=(node.now - node.last_seen).total_seconds(),
        models=tuple(_model(model, tests) for model in models),
    )


def _condition(node: Node, is_live: bool) -> tuple[str, str]:
    if not is_live:
        stopped = node.hold_reason == "stopped"
        return "offline", "stopped" if stopped else "not heard of; is its machine on, and can it reach the hub?"
    if node.drained:
        # The node itself says so once it has heard of it, with its next beat.
        heard = "drained" in node.hold_reason
        return "drained" if heard else "draining", f"`clustercore nodes undrain {node.name}` lets it work again"
    if node.hold_reason:
        return "held", node.hold_reason
    if node.idle_reason:
        return "idle", node.idle_reason
    return "online", ""


def model_figures(ranked: RankedRecord, tests: dict[str, Any]) -> ModelFigures:
    """A model as this machine's own engines tell it, without the ledger."""
    record = ranked.record
    label = _label(record.engine, record.model)
    return ModelFigures(
        capability=record.capability,
        label=label,
        rung=ranked.rung,
        languages=tuple(record.languages),
        memory_mb=record.memory_mb,
        usable=record.usable,
        reason=record.reason,
        self_test=tests.get(label, {}),
    )


def _model(model: NodeModel, tests: dict[str, Any]) -> ModelFigures:
    label = _label(model.engine, model.model)
    return ModelFigures(
        capability=model.capability,
        label=label,
        rung=model.rung,
        languages=tuple(model.languages),
        memory_mb=model.memory_mb,
        usable=model.usable,
        reason=model.reason,
        self_test=tests.get(label, {}),
    )
