"""A test ends what it started: what it left running is its own error, and not that of the test which meets it."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from concurrent.futures.thread import _threads_queues
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.fork_server import fork_server

KEPT: set[int] = set()
"""Processes that a fixture of several tests will end."""
ENDING_SECONDS = 10.0


@contextmanager
def nothing_left_running() -> Iterator[None]:
    """Ends what was started meanwhile and still runs, and says so."""
    processes, threads = set(child_processes()), set(threading.enumerate())
    yield
    left = [child for child in child_processes() if child not in processes and child.pid not in KEPT]
    # Whom a test has just told to end may take a moment.
    _, left = psutil.wait_procs(left, ENDING_SECONDS) if left else ([], [])
    names = [_described(child) for child in left] + waited_for(threads)
    for child in left:
        child.kill()
    assert not names, f"this test left running: {', '.join(names)}"


def child_processes() -> list[psutil.Process]:
    """Those of this process and of the fork server that have not ended; none where the system does not list them."""
    server = [fork_server().process.pid] if fork_server.cache_info().currsize else []
    numbers = [number for parent in (os.getpid(), *server) for number in _children_of(parent)]
    return [psutil.Process(number) for number in numbers if number not in server and _lives(number)]


def _children_of(process: int) -> Iterator[int]:
    # Looking through all processes for their parents would cost every test a tenth of a second.
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        # A thread may end while its children are asked for; they are another's then.
        with suppress(OSError):
            yield from map(int, listed.read_text().split())


def waited_for(before: Collection[threading.Thread]) -> list[str]:
    """Threads that were not there before, would keep the interpreter from ending, and go on."""
    started = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    # Executors keep idle threads for the next who needs one, and end them when the interpreter ends.
    started = [thread for thread in started if thread not in _threads_queues]
    for thread in started:
        thread.join(ENDING_SECONDS)
    return [f"thread {thread.name}" for thread in started if thread.is_alive()]


def _lives(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _described(process: psutil.Process) -> str:
    try:
        return f"process {process.pid} ({' '.join(process.cmdline())[:200]})"
    except psutil.Error:
        return f"process {process.pid}"
