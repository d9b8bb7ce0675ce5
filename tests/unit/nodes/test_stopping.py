"""A second signal ends the grace, but for the echoes of a parent's death."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

from clustercore.nodes.adapters.stopping import Stopper

GRACE_SECONDS = 0.6


def seconds_until_handed_back() -> float:
    """Of a node with work in hand that is told to stop once more while it has its grace."""
    intake = SimpleNamespace(hold=lambda *_words: None)
    agent: Any = SimpleNamespace(intake=intake, busy=True, stop_self_test=lambda: None, end=lambda: None)
    stopper = Stopper(agent, GRACE_SECONDS, lambda _code: None)
    stopper.request("SIGTERM")
    began = time.monotonic()
    stopper._hand_back()
    return time.monotonic() - began


def test_a_second_signal_ends_the_grace() -> None:
    assert seconds_until_handed_back() < GRACE_SECONDS


def test_the_death_of_a_parent_that_is_told_again_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([4711])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    assert seconds_until_handed_back() >= GRACE_SECONDS
