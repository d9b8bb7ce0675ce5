"""Figures that are kept for a while."""

from __future__ import annotations

import pytest

from clustercore.jobs.selectors import remembered
from clustercore.jobs.selectors.remembered import COSTS, KEPT, SHORTEST_SECONDS, Remembered


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(remembered, "time", found)
    return found


def test_a_cheap_figure_is_read_again_after_some_seconds(clock: Clock) -> None:
    read: list[int] = []

    def times_read(key: int) -> int:
        read.append(key)
        return len(read)

    figures = Remembered(times_read)
    assert (figures.of(7), figures.of(7), figures.of(8)) == (1, 1, 2)
    clock.now += SHORTEST_SECONDS
    assert (figures.of(7), read) == (3, [7, 8, 7])


def test_what_has_ended_is_read_anew_at_once(clock: Clock) -> None:
    read: list[int] = []

    def times_read(key: int) -> int:
        read.append(key)
        return len(read)

    figures = Remembered(times_read)
    assert (figures.of(7), figures.of(7, "ended"), figures.of(7, "ended")) == (1, 2, 2)


def test_a_dear_one_is_kept_for_longer(clock: Clock) -> None:
    def slowly(_key: int) -> float:
        clock.now += 1.0
        return clock.now

    figures = Remembered(slowly)
    first = figures.of(7)
    clock.now += COSTS - 0.1
    assert figures.of(7) == first
    clock.now += 0.2
    assert figures.of(7) > first


def test_only_the_last_few_are_kept(clock: Clock) -> None:
    read: list[int] = []
    figures = Remembered(read.append)
    for key in range(KEPT + 1):
        figures.of(key)
    figures.of(KEPT)
    figures.of(0)
    assert read[KEPT:] == [KEPT, 0]
