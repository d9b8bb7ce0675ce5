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
from clustercore.project.command_line.console import errors, remark
from clustercore.project.command_line.figures import JobFigures
from clustercore.project.command_line.ledger import jobs_now
from clustercore.project.command_line.rendering import live_jobs, printable

POLL_SECONDS, TOLD_SECONDS = 0.35, 1.0
"""Between two looks: where nobody is told of changes, and at most where they are."""
_FEED = "clustercore.live.adapters.changes:ChangeFeed"
"""Imported by whoever waits: who only lists jobs needs no client of Redis."""
PATIENCE_SECONDS = 60.0
"""For so long a watcher waits for a database that went away."""

Show = Callable[[RenderableType, Sequence[JobFigures]], None]


class StoppedWatching(Exception):
    """Ctrl-C: the jobs go on."""


def watch(ids: Sequence[int], meanwhile: Callable[[], None] = lambda: None) -> list[JobFigures]:
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


def say_how_to_go_on(ids: Sequence[int]) -> None:
    """What to type after Ctrl-C."""
    listed = " ".join(str(one) for one in ids)
    remark("No longer watching; the work goes on.")
    remark(f"  watch again: clustercore job {ids[0]} --watch      end it: clustercore cancel {listed}")
    remark(f"  the text, also what is there so far: clustercore export {listed}")


@contextmanager
def screen() -> Iterator[Show]:
    """A place to show figures: redrawn on a terminal; elsewhere one line whenever something changed."""
    console = errors()
    if not console.is_terminal:
        yield _LineByLine().show
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda renderable, _jobs: live.update(renderable, refresh=True)


def _patiently(ids: Sequence[int], show: Show) -> list[JobFigures]:
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

    def show(self, _renderable: RenderableType, jobs: Sequence[JobFigures]) -> None:
        for job in jobs:
            # A place in line that changed is no news: a hundred jobs would say so a hundred times.
            key = (job.standing_words, job.done, job.total, job.cut, job.waiting)
            if self._said.get(job.id) != key:
                self._said[job.id] = key
                remark(_line(job))


def _line(job: JobFigures) -> str:
    counted = f" {job.done}/{job.total}{'' if job.cut else '+'} pieces" if job.total else ""
    why = job.error if job.is_over else job.waiting
    place = f", {job.in_line}" if job.in_line else ""
    said = f" ({printable(why)})" if why else ""
    return f"job {job.id} {printable(job.title, 60)}: {job.standing_words}{counted}{place}{said}"
