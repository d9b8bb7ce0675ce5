"""A child that runs while somebody asks for it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from clustercore.project.command_line import on_demand
from clustercore.project.command_line.on_demand import OnDemand
from clustercore.project.command_line.processes import Child, end_children
from tests.unit.project.command_line.test_processes import SLEEP, STUBBORN, until

IDLE_SECONDS = 60.0


@pytest.fixture
def demanded(tmp_path: Path) -> Iterator[OnDemand]:
    child = Child("a page", [sys.executable, "-c", SLEEP], tmp_path / "child.log")
    made = OnDemand(child, tmp_path / "wanted", IDLE_SECONDS)
    made.open()
    yield made
    end_children([child], 5.0)


def ask(demanded: OnDemand, seconds_ago: float = 0.0) -> None:
    moment = time.time() - seconds_ago
    os.utime(demanded._wanted, (moment, moment))


def test_nobody_asks_and_nothing_runs(demanded: OnDemand) -> None:
    assert demanded.keep() == ""
    assert demanded.child.pid is None


def test_it_starts_when_somebody_asks_and_ends_when_nobody_has_for_long(demanded: OnDemand) -> None:
    ask(demanded)
    assert demanded.keep() == "a page starts: somebody looks at it"
    assert demanded.keep() == ""
    assert demanded.child.exit_code is None

    ask(demanded, IDLE_SECONDS + 1)
    assert demanded.keep() == "a page ends: nobody has looked at it for 60 s"
    assert until(lambda: demanded.keep() == "" and not psutil.pid_exists(demanded.child.pid or 0)), (
        "it is left a zombie"
    )


def test_who_asks_while_it_ends_has_it_started_again(demanded: OnDemand) -> None:
    ask(demanded)
    demanded.keep()
    first = demanded.child.pid
    ask(demanded, IDLE_SECONDS + 1)
    demanded.keep()
    ask(demanded)

    assert until(lambda: demanded.keep() != "")
    assert demanded.child.pid != first
    assert demanded.child.exit_code is None


def test_one_that_dies_while_it_is_asked_for_is_started_again(demanded: OnDemand) -> None:
    ask(demanded)
    demanded.keep()
    demanded.child.terminate()

    assert until(lambda: demanded.keep() != "" or demanded.child.restarts > 0)
    assert until(lambda: demanded.keep() == "" and demanded.child.restarts == 1)


def test_one_that_does_not_end_is_killed(demanded: OnDemand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "END_SECONDS", 0.05)
    demanded.child.command = [sys.executable, "-c", STUBBORN]
    ask(demanded)
    demanded.keep()
    assert until(lambda: "up" in demanded.child.log.read_text())
    ask(demanded, IDLE_SECONDS + 1)
    demanded.keep()

    assert until(lambda: demanded.keep() == "" and demanded.child.exit_code is not None)


def test_nobody_can_ask_for_what_nobody_would_start(demanded: OnDemand) -> None:
    demanded.close()
    with pytest.raises(FileNotFoundError):
        ask(demanded)
    assert demanded.keep() == ""
