from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from clustercore.project.command_line import demo as demonstration


class Arrived(Exception):
    """The demo is about to work."""


def test_the_helper_that_asks_the_ledger_has_ended_before_the_work_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    @contextmanager
    def running(*words: object, **options: object) -> Iterator[Any]:
        yield SimpleNamespace(ledger=SimpleNamespace(close=lambda: told.append("closed")))

    def work() -> None:
        told.append("work")
        raise Arrived

    for name in ("_alone", "_servers_stopped_after", "stop_signals"):
        monkeypatch.setattr(demonstration, name, lambda: nullcontext(SimpleNamespace(hub=None)))
    monkeypatch.setattr(demonstration, "running_hub", running)
    monkeypatch.setattr(demonstration, "forget_earlier_demos", work)
    with pytest.raises(Arrived):
        demonstration.demo(pull=False)
    assert told == ["closed", "work"]
