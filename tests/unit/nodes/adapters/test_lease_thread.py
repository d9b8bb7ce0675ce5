"""When a node beats, and that what is new is told though the hub was away at that moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import OperationalError

from clustercore.nodes.adapters import lease_thread
from clustercore.nodes.adapters.hub_presence import HubPresence
from clustercore.nodes.adapters.lease_thread import LeaseThread
from tests.fakes.nodes.polling import until


class Beats:
    """Stands for the node's row and for its intake; as many beats fail as there are troubles."""

    hold_reason = idle_reason = ""

    def __init__(self) -> None:
        self.count = 0
        self.troubles: list[Exception] = []
        self.held: list[str] = []

    def beat(self, _hold_reason: str, _idle_reason: str) -> None:
        if self.troubles:
            raise self.troubles.pop()
        self.count += 1

    def obey(self, *, drained: bool) -> None:
        """Nobody asks for anything."""

    def hold(self, source: str, _reason: str, _seconds: float | None = None) -> None:
        self.held.append(source)

    def release(self, source: str) -> None:
        if source in self.held:
            self.held.remove(source)


@pytest.fixture
def beats() -> Beats:
    return Beats()


@pytest.fixture
def leases(beats: Beats, monkeypatch: pytest.MonkeyPatch) -> Iterator[LeaseThread]:
    """A thread that beats when there is something new, and otherwise once a quarter of an hour."""
    monkeypatch.setattr(lease_thread, "lease_extenders", ())
    thread = LeaseThread(
        cast(Any, SimpleNamespace()),
        cast(Any, beats),
        cast(Any, beats),
        HubPresence(beats),
        heartbeat_seconds=900.0,
        pause_seconds=0.02,
        fail=lambda _name, error: beats.held.append(repr(error)),
    )
    thread.start()
    until(lambda: beats.count == 1)
    yield thread
    thread.end()
    thread._thread.join(10)


def test_what_is_to_be_said_soon_is_said_once(leases: LeaseThread, beats: Beats) -> None:
    leases.say_soon()
    until(lambda: beats.count == 2)
    threading.Event().wait(0.1)
    assert beats.count == 2


def test_what_was_to_be_said_soon_is_tried_again_at_the_next_look_where_the_hub_was_away(
    leases: LeaseThread, beats: Beats
) -> None:
    beats.troubles = [OperationalError("gone")]
    leases.say_soon()
    until(lambda: beats.count == 2, 5.0)
    assert beats.held == []
