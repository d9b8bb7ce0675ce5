"""A hub that lives as long as one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from clustercore.project.command_line import private_cluster as module
from clustercore.project.command_line.private_cluster import private_cluster


def test_the_helper_that_asks_the_ledger_has_ended_before_the_work_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    @contextmanager
    def running(*words: object, **options: object) -> Iterator[Any]:
        told.append("up")
        yield SimpleNamespace(ledger=SimpleNamespace(close=lambda: told.append("closed")))

    for name in ("_alone", "_servers_stopped_after", "stop_signals"):
        monkeypatch.setattr(module, name, lambda: nullcontext(SimpleNamespace(hub=None)))
    monkeypatch.setattr(module, "running_hub", running)
    with private_cluster(["one"], lambda: told.append("prepared"), lambda text: None):
        told.append("work")
    assert told == ["prepared", "up", "closed", "work"]
