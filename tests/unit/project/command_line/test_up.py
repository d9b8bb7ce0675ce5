"""`up` sleeps while its children run, and hears at once when one ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from clustercore.project.command_line.up import _ends_of_children

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a hub needs Linux or macOS")


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


def test_the_end_of_a_child_wakes_who_waits_for_it() -> None:
    ends = _ends_of_children()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert ends.empty()
    child.kill()
    ends.get(timeout=20)
    assert child.wait() == -signal.SIGKILL
    assert child.stdin is not None
    child.stdin.close()
