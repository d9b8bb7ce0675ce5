"""Jobs on a terminal: rich renderables from plain values. Names from outside become Text, never markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clustercore.jobs.domain.amounts import amount_words, pace_words
from clustercore.jobs.domain.humanize import place_words, took_words
from clustercore.jobs.domain.kinds import outline_of
from clustercore.jobs.domain.progress import EventLine, JobProgress, NodeShare, UnitProgress
from clustercore.terminal.adapters.tables import STATE_STYLES, state_text, table
from clustercore.terminal.domain.humanize import clock_words, counted, printable

_NAME_WIDTH = 40
_BAR_WIDTH = 30


def standing_text(job: JobProgress) -> Text:
    """Returns where a job stands, in its colour; done with gaps is not the colour of done."""
    style = "yellow" if job.ended_with_gaps else STATE_STYLES.get(job.standing, "default")
    return Text(job.standing_words, style)


def took_text(job: JobProgress) -> str:
    """Returns how long a job waited and was worked on."""
    return took_words(job.waited_seconds, job.worked_seconds, job.speed)


def why_of(job: JobProgress) -> str:
    """Returns why a job does not go on, and what to type; empty where it does."""
    if job.is_over:
        return job.error
    return f"waits for you: {job.asks} (`clustercore answer {job.id}`)" if job.asks else job.waiting


def unit_noun_of(job: JobProgress) -> str:
    """Returns what a person calls a unit of this job."""
    known = outline_of(job.kind)
    return known.unit_noun if known is not None else "unit"


def amount_unit_of(job: JobProgress) -> str:
    """Returns what the weights of this job's units count."""
    known = outline_of(job.kind)
    return known.amount_unit if known is not None else ""


def units_of(job: JobProgress, noun: str = "") -> str:
    """Returns `3/12`, and `0/1+, more to come` while that is so; empty before there are any."""
    if not job.total:
        return ""
    counts = f"{job.done:,}/{job.total:,}"
    return f"{counts}{noun}" if job.all_queued or job.is_over else f"{counts}+{noun}, more to come"


def live_jobs(jobs: Sequence[JobProgress]) -> RenderableType:
    """Returns one bar per job, below it one line per node, and the reason when a job waits."""
    parts: list[RenderableType] = []
    for job in jobs:
        parts.append(_bar_line(job))
        parts += [_share_line(job, share) for share in job.shares]
        why = why_of(job)
        if why:
            parts.append(Text(f"    {printable(why)}", "red" if job.is_over else "yellow"))
    return Group(*parts)


def _bar_line(job: JobProgress) -> RenderableType:
    line = Table.grid(padding=(0, 1))
    line.add_column(no_wrap=True, width=_NAME_WIDTH)
    line.add_column(width=_BAR_WIDTH)
    line.add_column(no_wrap=True)
    fraction = 1.0 if job.state == "done" else min(job.fraction, 0.999)
    bar = ProgressBar(total=1.0, completed=fraction, width=_BAR_WIDTH, pulse=not job.total and not job.is_over)
    line.add_row(Text(printable(job.title, _NAME_WIDTH)), bar, _standing(job))
    return line


def _standing(job: JobProgress) -> Text:
    if job.is_over:
        return Text.assemble(standing_text(job), f", {took_text(job)}")
    if not job.total:
        return Text(_not_begun(job), "dim")
    noun = f" {unit_noun_of(job)}s"
    if job.all_queued and job.done == job.total:
        return Text(f"{units_of(job, noun)}, {job.stage}")
    left = f", {clock_words(job.seconds_left)} left" if job.seconds_left is not None else ""
    paused = ", paused" if job.state == "paused" else ""
    return Text(f"{units_of(job, noun)}{left}{paused}")


def _not_begun(job: JobProgress) -> str:
    """A job without units to count is in line, cannot go on, or is being prepared."""
    if job.place is not None:
        return f"{job.standing}, {place_words(job.place)}"
    return f"{'waiting' if why_of(job) else job.stage} {clock_words(job.elapsed_seconds)}"


def _share_line(job: JobProgress, share: NodeShare) -> Text:
    line = Text("    ").append(printable(share.node, _NAME_WIDTH), "cyan")
    if share.served_by:
        done, pace = counted(share.done, unit_noun_of(job)), pace_words(share.speed, amount_unit_of(job))
        line.append(f"  {served_words(share.served_by, share.rung)}  {done}  {pace}")
    if share.running:
        line.append(f"  {share.running} in hand", "dim")
    return line


def served_words(served_by: str, rung: int | None) -> str:
    """Returns engine, model and rung; empty where nothing served."""
    return f"{served_by} (rung {rung})" if served_by and rung is not None else served_by


def jobs_table(jobs: Sequence[JobProgress]) -> RenderableType:
    """Returns the list of jobs."""
    if not jobs:
        return Text("No jobs. `clustercore --help` lists what starts one.", "dim")
    listed = table(
        *("id", "state", "units", "amount", "waited", "worked", "speed", "language", "what"),
        right=("id", "units", "amount", "waited", "worked"),
    )
    for job in jobs:
        what = Text(printable(job.title, 60))
        if job.place is not None:
            what.append(f"\n{place_words(job.place)}", "dim")
        why = job.error or why_of(job)
        if why:
            what.append(f"\n{printable(why)}", "red" if job.error else "yellow")
        unit = amount_unit_of(job)
        listed.add_row(
            str(job.id), standing_text(job), units_of(job), amount_words(job.weight, unit),
            clock_words(job.waited_seconds), clock_words(job.worked_seconds) if job.worked_seconds else "",
            pace_words(job.speed, unit), job.language or "", what,
        )  # fmt: skip
    return listed


def job_details(job: JobProgress, events: Sequence[EventLine]) -> RenderableType:
    """Returns one job and its story."""
    story = Table.grid(padding=(0, 2))
    for event in events:
        story.add_row(
            Text(clock(event.at), "dim"), Text(event.name, "cyan"), Text(printable(event.text)), Text(event.node, "dim")
        )
    return Group(live_jobs([job]), Text(), story)


def clock(at: datetime) -> str:
    """Returns the local time of day."""
    return at.astimezone().strftime("%H:%M:%S")


def units_table(job: JobProgress, units: Sequence[UnitProgress], labels: Mapping[int, str]) -> RenderableType:
    """Returns units of a job, each with what its kind calls it and its latest attempt."""
    listed = table(
        *("unit", "stage", "part", "state", "tries", "node", "served by", "took", "speed", "note"),
        right=("unit", "tries", "took"),
    )
    for unit in units:
        listed.add_row(
            str(unit.id), f"{unit.stage} {unit.ordinal}", Text(printable(labels.get(unit.id, ""))),
            state_text(unit.state), str(unit.attempts), Text(printable(unit.node, 24)),
            Text(served_words(unit.served_by, unit.rung)), seconds_text(unit.seconds),
            pace_words(unit.speed, amount_unit_of(job)), Text(printable(unit.note)),
        )  # fmt: skip
    return listed


def seconds_text(seconds: float | None) -> str:
    """Returns seconds with one decimal; nothing for None."""
    return f"{seconds:.1f} s" if seconds is not None else ""
