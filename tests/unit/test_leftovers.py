"""What a test leaves running is found, named and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import leftovers
from tests.fork_server import fork_server
from tests.leftovers import KEPT, child_processes, nothing_left_running

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists a process's children")
SLEEP = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "ENDING_SECONDS", 0.1)


def test_a_child_that_runs_on_is_named_and_ended() -> None:
    with pytest.raises(AssertionError, match=r"time\.sleep"), nothing_left_running():
        child = subprocess.Popen([sys.executable, "-c", SLEEP])

    assert child.wait(10) < 0


def test_a_fork_of_the_warm_interpreter_that_runs_on_is_too(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="process"), nothing_left_running():
        forked = fork_server().start_logged(["-c", SLEEP], os.environ, tmp_path, tmp_path / "log")

    assert forked.wait(10) < 0


def test_a_thread_that_is_waited_for_is_named() -> None:
    end = threading.Event()
    with pytest.raises(AssertionError, match="thread lingering"), nothing_left_running():
        threading.Thread(target=end.wait, name="lingering").start()
    end.set()


def test_what_another_fixture_will_end_and_what_has_ended_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_left_running():
        subprocess.run([sys.executable, "-c", ""], check=True)
        child = subprocess.Popen([sys.executable, "-c", SLEEP])
        monkeypatch.setattr(leftovers, "KEPT", KEPT | {child.pid})

    assert child.pid in [process.pid for process in child_processes()]
    child.kill()
    child.wait(10)
