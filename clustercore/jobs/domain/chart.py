"""Charts: the last hour as bars on a field of 600 by 100, the units of a stage as one bar, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from clustercore.jobs.domain.humanize import duration_words
from clustercore.jobs.domain.progress import JobProgress, StageCounts

_STEP = 10
_HEIGHT = 100.0
_LEAST_HEIGHT = 2.0
_EXACT_FROM = 10


class Minute(Protocol):
    """One minute of work."""

    @property
    def at(self) -> datetime: ...
    @property
    def done(self) -> int: ...
    @property
    def audio_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class ChartBar:
    """One minute as a bar that stands on the line y = 100."""

    minute: Minute
    x: int
    height: float
    label: str

    @property
    def y(self) -> float:
        return round(_HEIGHT - self.height, 2)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of the last hour, oldest first; `top_words` says what the upper edge stands for."""

    bars: tuple[ChartBar, ...]
    top_words: str
    summary: str


def chart_of(minutes: Sequence[Minute]) -> Chart:
    """Bars as high as the sound that was heard; of the pieces done, where nothing was heard at all."""
    if not any(minute.done for minute in minutes):
        return Chart((), "", "Nothing was done in the last hour.")
    heard = sum(minute.audio_seconds for minute in minutes)
    by_sound = heard > 0
    values = [minute.audio_seconds if by_sound else float(minute.done) for minute in minutes]
    top = max(values)
    bars = tuple(
        ChartBar(minute, number * _STEP, _height(value, top), _label(minute))
        for number, (minute, value) in enumerate(zip(minutes, values, strict=True))
    )
    done = sum(minute.done for minute in minutes)
    pieces = f"{done} piece{'' if done == 1 else 's'}"
    summary = f"{pieces} in the last hour"
    if by_sound:
        return Chart(
            bars, f"{duration_words(top)} of sound in a minute", f"{summary}, {duration_words(heard)} of sound."
        )
    return Chart(bars, f"{round(top)} in a minute", f"{summary}.")


def _height(value: float, top: float) -> float:
    return max(_LEAST_HEIGHT, round(value / top * _HEIGHT, 2)) if value else 0.0


def _label(minute: Minute) -> str:
    return f"{minute.done} done, {duration_words(minute.audio_seconds)} of sound"


WIDTH = 1000.0
"""Of a bar; the page stretches it."""
_LEAST_WIDTH = 6.0
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("done", ("done",)),
    ("running", ("leased",)),
    ("failed", ("failed", "dead", "overdue")),
    ("held", ("held",)),
    ("left out", ("skipped", "cancelled")),
    ("waiting", ("queued", "blocked")),
)
"""What people tell apart, in the order of the bar, and the states that it stands for."""


@dataclass(frozen=True, slots=True)
class Share:
    """Units of a stage that people do not tell apart, as part of its bar."""

    name: str
    units: int
    x: float
    width: float

    @property
    def words(self) -> str:
        """`12,345`; empty for none."""
        return f"{self.units:,}" if self.units else ""

    @property
    def css(self) -> str:
        """The last part of its class."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class StageBar:
    """One stage: how many of its units are done, in hand, and so on, all kinds, those without units too."""

    stage: str
    total: int
    shares: tuple[Share, ...]

    @property
    def words(self) -> str:
        """All of it in a line, for whoever does not see the bar."""
        return ", ".join(f"{share.words} {share.name}" for share in self.shares if share.units)


@dataclass(frozen=True, slots=True)
class JobCounts:
    """A job of very many units in figures."""

    job_id: int
    stages: tuple[StageBar, ...]
    pace: str
    """`about 300 pieces a minute`; empty where nothing was done lately."""
    left: float | None
    """Seconds to its end, as expected."""


def counts_of(job: JobProgress) -> JobCounts:
    """The job's units by stage, how fast it goes, and when it may be expected to end."""
    pace = f"about {_coarse(job.pace.units_per_minute)} a minute" if job.pace is not None else ""
    left = job.seconds_left if job.pace is not None else None
    return JobCounts(job.id, tuple(map(_stage_bar, job.stages)), pace, left)


def _coarse(number: float) -> str:
    """To two digits, so that it does not jitter."""
    return f"{float(f'{number:.2g}'):,.0f}" if number >= _EXACT_FROM else f"{number:.1f}"


def _stage_bar(stage: StageCounts) -> StageBar:
    counted = dict(stage.states)
    shares, x = [], 0.0
    for name, states in _KINDS:
        units = sum(counted.get(state, 0) for state in states)
        width = max(_LEAST_WIDTH, units / stage.total * WIDTH) if units else 0.0
        shares.append(Share(name, units, round(x, 1), round(width, 1)))
        x += width
    return StageBar(stage.stage, stage.total, tuple(shares))
