"""The chart of the last hour: bars on a field of 600 by 100, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from clustercore.jobs.domain.words import duration_words

_STEP = 10
_HEIGHT = 100.0
_LEAST_HEIGHT = 2.0


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
