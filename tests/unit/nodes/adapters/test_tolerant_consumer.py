"""How long a worker tells of its tasks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker.control import Panel

from clustercore.nodes.adapters.tolerant_consumer import LISTENED_SECONDS, TolerantConsumer


class Moments:
    """A timer whose clock stands still until it is moved."""

    def __init__(self) -> None:
        self._now = 0.0
        self._entries: dict[object, tuple[float, Callable[[], None]]] = {}

    def call_after(self, seconds: float, deed: Callable[[], None]) -> object:
        """Makes an entry, due so many seconds after where the clock stands."""
        entry = object()
        self._entries[entry] = self._now + seconds, deed
        return entry

    def cancel(self, entry: object) -> None:
        """Forgets an entry, if it is there."""
        self._entries.pop(entry, None)

    def move(self, seconds: float) -> None:
        """Calls what is due by then."""
        self._now += seconds
        for entry, (moment, deed) in list(self._entries.items()):
            if moment <= self._now:
                self.cancel(entry)
                deed()


@pytest.fixture
def consumer() -> TolerantConsumer:
    """One of a worker that has just started, as far as its events go."""
    made = TolerantConsumer.__new__(TolerantConsumer)
    made.timer, made.event_dispatcher = Moments(), SimpleNamespace(groups={"worker"})
    return made


def asked(consumer: TolerantConsumer, command: str) -> Any:
    return Panel.data[command](SimpleNamespace(consumer=consumer))


def test_a_worker_tells_of_tasks_while_it_is_asked_to_again_and_again(consumer: TolerantConsumer) -> None:
    assert asked(consumer, "enable_events") == {"ok": "task events enabled"}
    for _ in range(10):
        consumer.timer.move(LISTENED_SECONDS - 1)
        assert asked(consumer, "enable_events") == {"ok": "task events already enabled"}
    assert consumer.event_dispatcher.groups == {"worker", "task"}


def test_a_worker_that_is_asked_no_more_falls_silent_but_for_its_beats(consumer: TolerantConsumer) -> None:
    asked(consumer, "enable_events")
    consumer.timer.move(LISTENED_SECONDS)
    assert consumer.event_dispatcher.groups == {"worker"}


def test_a_worker_that_is_told_to_stop_may_be_asked_again(consumer: TolerantConsumer) -> None:
    asked(consumer, "enable_events")
    assert asked(consumer, "disable_events") == {"ok": "task events disabled"}
    assert asked(consumer, "enable_events") == {"ok": "task events enabled"}
    consumer.timer.move(LISTENED_SECONDS)
    assert consumer.event_dispatcher.groups == {"worker"}


def test_a_worker_between_two_connections_has_nobody_to_tell(consumer: TolerantConsumer) -> None:
    asked(consumer, "enable_events")
    consumer.event_dispatcher = None
    consumer.timer.move(LISTENED_SECONDS)
    assert "error" in asked(consumer, "enable_events")
