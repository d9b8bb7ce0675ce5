"""The timeline of a job's attempts: lanes of bars, without a clock, so that it changes only when an attempt does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clustercore.jobs.domain.humanize import duration_words, look_of
from clustercore.jobs.domain.pieces import colour_of
from clustercore.jobs.domain.progress import AttemptLine

WIDTH = 1000.0
"""Bars are placed on a line of this length; the page stretches it."""
ROW_HEIGHT = 16
ROWS = 200
"""Of the table."""
_LEAST_SECONDS = 10.0
_LEAST_WIDTH = 2.0
_TICKS = 4
# A running attempt has no end yet: the line goes on a little beyond the last thing that is known.
_OPEN_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt: from `x`, `width` long, in a lane's row `row`."""

    attempt: AttemptLine
    x: float
    width: float
    row: int
    colour: str
    label: str

    @property
    def y(self) -> int:
        return self.row * ROW_HEIGHT


@dataclass(frozen=True, slots=True)
class Lane:
    """What one node did, in as many rows as it did things at once."""

    node: str
    colour: str
    bars: tuple[Bar, ...]

    @property
    def height(self) -> int:
        return ROW_HEIGHT * (1 + max((bar.row for bar in self.bars), default=0))


@dataclass(frozen=True, slots=True)
class Timeline:
    """A job's attempts by node; `ticks` are the words under the line, evenly spread from its start to its end."""

    job_id: int
    lanes: tuple[Lane, ...]
    ticks: tuple[str, ...]
    attempts: tuple[AttemptLine, ...]
    """The latest, for those who read the table; a page of all would be slow to make and to read."""
    total: int


def timeline_of(job_id: int, attempts: Sequence[AttemptLine], colours: Mapping[str, int]) -> Timeline:
    """Lanes in the order in which the nodes first took part."""
    if not attempts:
        return Timeline(job_id, (), (), (), 0)
    begin = min(attempt.started for attempt in attempts)
    span = _span(begin, attempts)
    by_node: dict[str, list[AttemptLine]] = {}
    for attempt in sorted(attempts, key=lambda one: (one.started, one.id)):
        by_node.setdefault(attempt.node, []).append(attempt)
    lanes = tuple(_lane(node, lines, begin, span, colours) for node, lines in by_node.items())
    ticks = tuple(duration_words(span * part / _TICKS) if part else "start" for part in range(_TICKS + 1))
    return Timeline(job_id, lanes, ticks, tuple(attempts[-ROWS:]), len(attempts))


def _span(begin: datetime, attempts: Iterable[AttemptLine]) -> float:
    last = max((attempt.ended or attempt.started) for attempt in attempts)
    known = max((last - begin).total_seconds(), _LEAST_SECONDS)
    return known * (1 + _OPEN_SHARE) if any(attempt.ended is None for attempt in attempts) else known


def _lane(node: str, attempts: Sequence[AttemptLine], begin: datetime, span: float, colours: Mapping[str, int]) -> Lane:
    colour = colour_of(node, colours)
    free: list[float] = []
    bars = []
    for attempt in attempts:
        start = (attempt.started - begin).total_seconds()
        end = (attempt.ended - begin).total_seconds() if attempt.ended is not None else span
        row = next((number for number, since in enumerate(free) if since <= start), len(free))
        free[row : row + 1] = [end]
        width = max(_LEAST_WIDTH, (end - start) / span * WIDTH)
        bars.append(Bar(attempt, round(start / span * WIDTH, 1), round(width, 1), row, colour, _label(attempt)))
    return Lane(node, colour, tuple(bars))


def _label(attempt: AttemptLine) -> str:
    lasted = ""
    if attempt.ended is not None:
        lasted = f" after {duration_words((attempt.ended - attempt.started).total_seconds())}"
    again = f", attempt {attempt.number}" if attempt.number > 1 else ""
    why = f": {attempt.reason}" if attempt.reason and attempt.outcome != "done" else ""
    return (
        f"{attempt.stage} {attempt.ordinal + 1}{again} on {attempt.node}, {look_of(attempt.outcome).word}{lasted}{why}"
    )
