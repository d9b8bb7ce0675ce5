"""A slow start is waited for as long as something moves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count

import pytest

from clustercore.embedded.adapters import progress
from clustercore.embedded.adapters.progress import Patience, processor_seconds, strides
from tests.fakes.nodes.polling import until

BUSY = "while True: pass"
LIKE_A_HUB_THAT_IDLES = "import time\nwhile time.process_time() < 1.5: pass\ntime.sleep(60)"
IDLE = "import time\ntime.sleep(60)"


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.kill()
        child.wait()


def test_patience_lasts_while_something_moves_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LOOK_SECONDS", 0.0)
    patience, began, seen = Patience(0.3), time.monotonic(), count()
    while time.monotonic() - began < 1.0:
        assert patience.lasts(lambda: next(seen))
    until(lambda: not patience.lasts(lambda: "the same"))


def test_work_of_a_child_counts_and_waiting_does_not(children: list[subprocess.Popen[bytes]]) -> None:
    for program in (BUSY, IDLE):
        children.append(subprocess.Popen([sys.executable, "-c", program]))
    busy, idle = children
    until(lambda: processor_seconds(busy.pid) >= 1, 60)
    assert processor_seconds(idle.pid) == 0


def test_what_an_idling_hub_spends_in_two_minutes_is_no_progress_of_a_start(
    children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    children.append(subprocess.Popen([sys.executable, "-c", LIKE_A_HUB_THAT_IDLES]))
    until(lambda: processor_seconds(children[0].pid) >= 1, 60)
    assert strides(children[0].pid) == 0
    monkeypatch.setattr(progress, "_STRIDE_SECONDS", 1)
    assert strides(children[0].pid) >= 1


def test_a_process_that_is_gone_has_done_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert processor_seconds(child.pid) == 0
