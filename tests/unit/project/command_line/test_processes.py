"""Children that run as long as their owner does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clustercore.config.interpreter import child_variables
from clustercore.project.command_line import processes
from clustercore.project.command_line.processes import Child, end_children

SLEEP = "import sys, time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    made = Child("a child", [sys.executable, "-c", SLEEP], tmp_path / "child.log")
    yield made
    end_children([made], 5.0)


def test_a_child_that_dies_is_started_again_and_says_so(child: Child) -> None:
    child.start()
    first = child.pid
    child.terminate()
    said: list[str] = []

    def is_restarted() -> bool:
        said.append(child.keep())
        return child.restarts > 0

    assert until(is_restarted)

    assert child.pid != first
    assert child.exit_code is None
    assert next(text for text in said if text).startswith("a child ended (exit code -15)")


@pytest.mark.parametrize(
    ("ours", "inherited"),
    [
        ("clustercore.project.ledger_settings", None),
        ("home.settings", "home.settings"),
        ("clustercore2.settings", "clustercore2.settings"),
    ],
)
def test_a_child_chooses_which_of_our_settings_it_loads_and_inherits_anybody_elses(
    ours: str, inherited: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", ours)
    assert child_variables({}).get("DJANGO_SETTINGS_MODULE") == inherited


def test_a_child_that_cannot_be_started_is_tried_again_and_told_of_once(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "UNSTARTABLE_PAUSE_SECONDS", 0.05)
    child.start()
    child.terminate()
    child.log = tmp_path / "full/child.log"
    said: list[str] = []

    def tried_thrice() -> bool:
        said.append(child.keep())
        return child.restarts >= 3

    assert until(tried_thrice)
    child.log.parent.mkdir()
    assert until(lambda: child.keep() == "" and child.exit_code is None)
    assert sum("cannot be started" in text for text in said) == 1


def test_a_child_that_lives_is_left_alone(child: Child) -> None:
    child.start()
    first = child.pid

    assert child.keep() == ""
    assert child.pid == first


def test_a_child_that_does_not_obey_is_killed_in_the_end(tmp_path: Path) -> None:
    stubborn = Child("stubborn", [sys.executable, "-c", STUBBORN], tmp_path / "log")
    stubborn.start()
    assert until(lambda: stubborn.log_tail() == "up")

    end_children([stubborn], 0.2)

    assert stubborn.exit_code == -9


def test_a_child_has_its_own_variables_and_its_output_goes_to_its_log(tmp_path: Path) -> None:
    show = "import os; print(os.environ['CLUSTERCORE_NODE_NAME'], 'REDIS_URL' in os.environ)"
    child = Child("a child", [sys.executable, "-c", show], tmp_path / "log", {
        "CLUSTERCORE_NODE_NAME": "second", "REDIS_URL": None,
    })  # fmt: skip
    child.start()
    child.end(10.0)

    assert child.log_tail() == "second False"


def test_a_child_is_not_in_the_terminals_group(tmp_path: Path) -> None:
    child = Child("a child", [sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"], tmp_path / "log")
    child.start()
    child.end(10.0)

    assert child.log_tail() == "True"
