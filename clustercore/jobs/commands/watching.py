"""Following jobs until they are over: a live view on a terminal, a line per change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, connection
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from clustercore.config.adapters.plugins import load
from clustercore.jobs.commands.reading import jobs_now
from clustercore.jobs.commands.rendering import live_jobs, unit_noun_of, units_of, why_of
from clustercore.jobs.domain.humanize import place_words
from clustercore.jobs.domain.progress import JobProgress
from clustercore.terminal.adapters.console import errors, remark
from clustercore.terminal.domain.humanize import printable

POLL_SECONDS, TOLD_SECONDS = 0.35, 1.0
"""Between two looks: where nobody is told of changes, and at most where they are."""
_FEED = "clustercore.live.adapters.changes:ChangeFeed"
"""Imported by whoever waits: who only lists jobs needs no client of Redis."""
PATIENCE_SECONDS = 60.0
"""For so long a watcher waits for a database that went away."""

Show = Callable[[RenderableType, Sequence[JobProgress]], None]


class StoppedWatching(Exception):
    """Ctrl-C: the jobs go on."""


def watch(ids: Sequence[int], meanwhile: Callable[[], None] = lambda: None) -> list[JobProgress]:
    """Shows the jobs until all are over; calls `meanwhile` between two looks.

    Raises StoppedWatching, and OperationalError when the database is away for a minute.
    """
    with screen() as show, load(_FEED)(ids) as feed:
        try:
            while True:
                jobs = _patiently(ids, show)
                show(live_jobs(jobs), jobs)
                if all(job.is_over for job in jobs):
                    return jobs
                meanwhile()
                feed.wait(TOLD_SECONDS if feed.is_told else POLL_SECONDS)
        except KeyboardInterrupt:
            raise StoppedWatching from None


def say_how_to_go_on(ids: Sequence[int], result_command: str = "") -> None:
    """Says what to type after Ctrl-C, also for what is there of the result (`KindOutline.result_command`)."""
    listed = " ".join(str(one) for one in ids)
    remark("No longer watching; the work goes on.")
    remark(f"  watch again: clustercore job {ids[0]} --watch      end it: clustercore cancel {listed}")
    if result_command:
        remark(f"  the result, also what is there of it so far: {result_command} {listed}")


@contextmanager
def screen() -> Iterator[Show]:
    """A place to show figures: redrawn on a terminal; elsewhere one line whenever something changed."""
    console = errors()
    if not console.is_terminal:
        yield _LineByLine().show
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda renderable, _jobs: live.update(renderable, refresh=True)


def _patiently(ids: Sequence[int], show: Show) -> list[JobProgress]:
    began = time.monotonic()
    while True:
        try:
            return jobs_now(ids)
        except (OperationalError, InterfaceError):
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise
            connection.close()
            away = Text("the hub's database does not answer; nothing is lost, trying again", "yellow")
            show(Group(away), [])
            time.sleep(1.0)


class _LineByLine:
    """For logs and pipes."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[object, ...]] = {}

    def show(self, _renderable: RenderableType, jobs: Sequence[JobProgress]) -> None:
        for job in jobs:
            # A place in line that changed is no news: a hundred jobs would say so a hundred times.
            key = (job.standing_words, job.done, job.total, job.all_queued, why_of(job))
            if self._said.get(job.id) != key:
                self._said[job.id] = key
                remark(_line(job))


def _line(job: JobProgress) -> str:
    counted = f" {units_of(job, f' {unit_noun_of(job)}s')}" if job.total else ""
    why = why_of(job)
    place = f", {place_words(job.place)}" if job.place is not None else ""
    said = f" ({printable(why)})" if why else ""
    return f"job {job.id} {printable(job.title, 60)}: {job.standing_words}{counted}{place}{said}"
