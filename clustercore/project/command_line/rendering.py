"""Rich renderables from plain figures. Names from outside become Text, never markup."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clustercore.blobs.domain.names import without_controls
from clustercore.jobs.domain.words import factor_words, memory_words
from clustercore.project.command_line.figures import (
    EventFigures,
    JobFigures,
    ModelFigures,
    NodeFigures,
    NodeShare,
    UnitFigures,
)

if TYPE_CHECKING:  # Lists of jobs are shown without what downloads models.
    from clustercore.nodes.adapters.model_store import StoredModel
    from clustercore.nodes.domain.model_catalogue import CatalogueEntry

STATE_STYLES = {
    "running": "cyan", "leased": "cyan", "online": "green", "done": "green", "queued": "default", "paused": "yellow",
    "waiting": "yellow", "held": "yellow", "idle": "yellow", "drained": "yellow", "draining": "yellow",
    "failed": "red", "dead": "red", "offline": "red",
    "cancelled": "dim", "skipped": "dim", "asking": "yellow",
}  # fmt: skip
ROUGH_ENGINE = "pocketsphinx"
BETTER_MODEL = "clustercore models pull faster-whisper:small"
_NAME_WIDTH = 40
_BAR_WIDTH = 30


def printable(text: str, width: int | None = None) -> str:
    """One line of text: control characters become spaces, and the middle goes where it is too long."""
    line = without_controls(text)
    if width is None or len(line) <= width:
        return line
    kept = width - 1
    return f"{line[: kept - kept // 2]}…{line[len(line) - kept // 2 :]}"


def printable_path(path: Path) -> str:
    """A path as one line of text, whatever bytes it has."""
    return printable(os.fsencode(path).decode("utf-8", "replace"))


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, STATE_STYLES.get(state, "default"))


def standing_text(job: JobFigures) -> Text:
    """Where a job stands, in its colour; done with gaps is not the colour of done."""
    style = "yellow" if job.state == "done" and job.gaps else STATE_STYLES.get(job.standing or job.state, "default")
    return Text(job.standing_words, style)


def duration(seconds: float | None) -> str:
    """`0:42`, `3:07`, `1:02:03`; a dash for None."""
    if seconds is None:
        return "–"  # noqa: RUF001
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def speed_text(speed: float | None) -> str:
    """How many times faster than the sound lasts."""
    if speed is None:
        return ""
    return f"{factor_words(speed)} real time"


def megabytes(size_mb: float) -> str:
    """The size of files: `812 MB` or `15.6 GB`, counted by 1,000."""
    return f"{size_mb:.0f} MB" if size_mb < 1000 else f"{size_mb / 1000:.1f} GB"


def live_jobs(jobs: Sequence[JobFigures]) -> RenderableType:
    """One bar per job, below it one line per node, and the reason when a job waits."""
    parts: list[RenderableType] = []
    for job in jobs:
        parts.append(_bar_line(job))
        parts += [_share_line(share) for share in job.shares]
        why = job.waiting if not job.is_over else job.error
        if why:
            parts.append(Text(f"    {printable(why)}", "yellow" if not job.is_over else "red"))
    return Group(*parts)


def _bar_line(job: JobFigures) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, width=_NAME_WIDTH)
    table.add_column(width=_BAR_WIDTH)
    table.add_column(no_wrap=True)
    fraction = 1.0 if job.state == "done" else min(job.fraction, 0.999)
    bar = ProgressBar(total=1.0, completed=fraction, width=_BAR_WIDTH, pulse=not job.total and not job.is_over)
    table.add_row(Text(printable(job.title, _NAME_WIDTH)), bar, _standing(job))
    return table


def _standing(job: JobFigures) -> Text:
    if job.is_over:
        return Text.assemble(standing_text(job), f", {job.took}")
    if not job.total:
        return Text(_not_heard_yet(job), "dim")
    if job.cut and job.done == job.total:
        return Text(f"{job.done}/{job.total} pieces, merging")
    left = f", {duration(job.seconds_left)} left" if job.seconds_left is not None else ""
    paused = ", paused" if job.state == "paused" else ""
    return Text(f"{_counted_pieces(job, ' pieces')}{left}{paused}")


def _counted_pieces(job: JobFigures, noun: str = "") -> str:
    """`3/12`, and `0/1+, being cut` while more may come; empty before there are any."""
    if not job.total:
        return ""
    return f"{job.done}/{job.total}{noun}" if job.cut or job.is_over else f"{job.done}/{job.total}+{noun}, being cut"


def _not_heard_yet(job: JobFigures) -> str:
    """A job without pieces is in line, cannot go on, or is being cut."""
    if job.in_line:
        return f"{job.standing}, {job.in_line}"
    return f"{'waiting' if job.waiting else 'cutting'} {duration(job.elapsed)}"


def _share_line(share: NodeShare) -> Text:
    line = Text("    ").append(printable(share.node, _NAME_WIDTH), "cyan")
    if share.served_by:
        line.append(
            f"  {share.served_by} (rung {share.rung})  {counted(share.pieces, 'piece')}  {speed_text(share.speed)}"
        )
    if share.running:
        line.append(f"  {share.running} in hand", "dim")
    return line


def counted(count: int, noun: str) -> str:
    """`1 piece`, `2 pieces`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def jobs_table(jobs: Sequence[JobFigures]) -> RenderableType:
    """The list of jobs."""
    if not jobs:
        return Text("No jobs. Try: clustercore transcribe FILE", "dim")
    table = _table(
        "id",
        "state",
        "pieces",
        "sound",
        "waited",
        "worked",
        "speed",
        "language",
        "what",
        right=("id", "pieces", "sound", "waited", "worked"),
    )
    for job in jobs:
        what = Text(printable(job.title, 60))
        if job.in_line:
            what.append(f"\n{job.in_line}", "dim")
        why = job.error or job.waiting
        if why:
            what.append(f"\n{printable(why)}", "red" if job.error else "yellow")
        table.add_row(
            str(job.id), standing_text(job), _counted_pieces(job), duration(job.audio_seconds),
            duration(job.waited_seconds), duration(job.worked_seconds) if job.worked_seconds else "",
            speed_text(job.speed), job.language or "", what,
        )  # fmt: skip
    return table


def job_details(job: JobFigures, events: Sequence[EventFigures]) -> RenderableType:
    """One job and its story."""
    parts: list[RenderableType] = [live_jobs([job]), Text()]
    table = Table.grid(padding=(0, 2))
    for event in events:
        table.add_row(
            Text(clock(event.at), "dim"), Text(event.name, "cyan"), Text(printable(event.text)), Text(event.node, "dim")
        )
    return Group(*parts, table)


def clock(at: datetime) -> str:
    """The local time of day."""
    return at.astimezone().strftime("%H:%M:%S")


def units_table(units: Sequence[UnitFigures]) -> RenderableType:
    """Every unit of a job, with its latest attempt."""
    table = _table(
        "unit", "stage", "from–to", "state", "tries", "node", "served by", "took", "speed", "note",  # noqa: RUF001
        right=("unit", "tries", "took"),
    )  # fmt: skip
    for unit in units:
        table.add_row(
            str(unit.id), f"{unit.stage} {unit.ordinal}", span(unit), state_text(unit.state), str(unit.attempts),
            Text(printable(unit.node, 24)), rung_text(unit), seconds_text(unit.seconds), speed_text(unit.speed),
            Text(printable(unit.note)),
        )  # fmt: skip
    return table


def pieces_table(units: Sequence[UnitFigures]) -> RenderableType:
    """The pieces of a recording: who heard what, with which rung, how fast."""
    table = _table("piece", "from–to", "node", "served by", "took", "speed", right=("piece", "took"))  # noqa: RUF001
    for unit in units:
        table.add_row(
            str(unit.ordinal + 1), span(unit), Text(printable(unit.node, 24)), rung_text(unit),
            seconds_text(unit.seconds), speed_text(unit.speed),
        )  # fmt: skip
    return table


def span(unit: UnitFigures) -> str:
    """From where to where in the recording; empty for a unit that is no piece."""
    if unit.start is None or unit.end is None:
        return ""
    return f"{duration(unit.start)}–{duration(unit.end)}"  # noqa: RUF001


def rung_text(unit: UnitFigures) -> Text:
    """Engine, model and rung."""
    return Text(f"{unit.served_by} (rung {unit.rung})" if unit.served_by else "")


def seconds_text(seconds: float | None) -> str:
    """Seconds with one decimal."""
    return f"{seconds:.1f} s" if seconds is not None else ""


def nodes_table(nodes: Sequence[NodeFigures], *, with_models: bool = True) -> RenderableType:
    """The nodes, why one does not work, and what each can do."""
    if not nodes:
        return Text("No node has ever joined. Start one: clustercore node", "dim")
    table = _table("node", "state", "busy", "machine", "version", "seen", right=("busy", "seen"))
    for node in nodes:
        name = Text(printable(node.name, _NAME_WIDTH), "bold")
        state = state_text(node.condition).append(f"\n{printable(node.why)}" if node.why else "", "yellow")
        machine = Text(
            f"{node.cores} cores, {memory_words(node.memory_mb)}, {node.operating_system} {node.architecture}"
        )
        machine.append("".join(f"\n{gpu}" for gpu in node.gpus))
        table.add_row(
            name, state, f"{node.busy}/{node.slots}", machine, node.version, f"{duration(node.seen_seconds_ago)} ago"
        )
    shown = [models_of_node(node) for node in nodes if node.models and node.condition != "offline"]
    return Group(table, *(shown if with_models else []))


def models_of_node(node: NodeFigures) -> RenderableType:
    """The inventory of one node."""
    return Group(Text(f"\n{printable(node.name)} can do", "bold"), models_table(node.models))


def models_table(models: Sequence[ModelFigures]) -> RenderableType:
    """Usable models with what their self-test said, and the others with the reason."""
    table = Table.grid(padding=(0, 2))
    table.add_column(width=2)
    for model in models:
        mark = Text("✔", "green") if model.usable else Text("✘", "red")
        table.add_row(mark, model.capability, Text(model.label), _about(model))
    return table


def stored_models_table(models: Sequence[StoredModel], directory: str) -> RenderableType:
    """What lies on this machine's disk."""
    if not models:
        return Text(f"No models in {printable(directory)}. A good one to begin with: {BETTER_MODEL}", "dim")
    table = _table("model", "size", "state", "", right=("size",))
    for model in models:
        style = "red" if model.state == "quarantined" else "green"
        size = megabytes(model.size_bytes / 1e6)
        table.add_row(Text(model.label), size, Text(model.state, style), Text(printable(model.detail)))
    return Group(table, Text(f"in {printable(directory)}", "dim"))


def catalogue_table(entries: Iterable[CatalogueEntry], here: Collection[str]) -> RenderableType:
    """What can be pulled."""
    table = _table("can be pulled", "size", "languages", "checksum", "", right=("size",))
    for entry in entries:
        size = megabytes(entry.size_mb) if entry.size_mb else ""
        known = "not known" if entry.unknown_checksums else "known"
        table.add_row(Text(entry.label), size, entry.languages, known, "here" if entry.label in here else "")
    return Group(Text(), table)


def _about(model: ModelFigures) -> Text:
    if not model.usable:
        return Text(printable(model.reason), "yellow")
    parts = [f"rung {model.rung}", ", ".join(model.traits)] if model.traits else []
    test = model.self_test
    if test.get("passed"):
        factor = test.get("real_time_factor")
        parts.append(
            f"self-test passed{f', {speed_text(1 / factor)}' if factor else ''} {test.get('device', '')}".strip()
        )
    elif test:
        return Text(f"{', '.join(parts)}; self-test FAILED: {printable(str(test.get('note', '')))}", "red")
    return Text(", ".join(parts))


def quality_hint(jobs: Sequence[JobFigures]) -> str:
    """What to type for better text, when the last rung served; empty otherwise."""
    served = {share.served_by for job in jobs for share in job.shares if share.pieces}
    if not any(label.startswith(ROUGH_ENGINE) for label in served):
        return ""
    return (
        "PocketSphinx served: it works with nothing downloaded, but its text is rough. "
        f"For much better text: {_engine_first()}{BETTER_MODEL}"
    )


def _engine_first() -> str:
    """What to install before a better model is of use on this machine."""
    if find_spec("faster_whisper") is not None:
        return ""
    return "pip install 'clustercore[faster-whisper]' (from a clone: make engines), then "


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table
