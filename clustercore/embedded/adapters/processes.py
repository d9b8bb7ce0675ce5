"""Server processes: what a child is tied to, and what an earlier supervisor left behind."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

CHILD_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/", "TZ": "UTC"}
_SET_PARENT_DEATH_SIGNAL = 1


def tied_to_parent(parent_death_signal: int) -> Callable[[], None]:
    """What a child does before it becomes the server: it gets this signal when its parent dies (Linux only)."""
    parent = os.getpid()
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare_child() -> None:
        os.umask(0o077)
        if library is not None:
            library.prctl(_SET_PARENT_DEATH_SIGNAL, parent_death_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare_child


async def end_leftovers(directory: Path, names: frozenset[str], polite: int, seconds: float = 8.0) -> int:
    """End the servers that still work in `directory`, politely for some seconds, then at once; return their number.

    A process counts when its name is one of `names` and its working directory is `directory`: no other data
    directory's server, and no stranger that got an old process's number, can match.
    """
    found = remaining = leftovers(directory, names)
    for number in (polite, signal.SIGKILL):
        _signal_parents(remaining, number)
        deadline = asyncio.get_running_loop().time() + seconds
        while remaining and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
            remaining = leftovers(directory, names)
    return len(found)


def leftovers(directory: Path, names: frozenset[str]) -> list[psutil.Process]:
    """The live processes with one of these names that work in `directory`."""
    return [process for process in psutil.process_iter() if _works_in(process, directory, names)]


def _works_in(process: psutil.Process, directory: Path, names: Iterable[str]) -> bool:
    with suppress(psutil.Error, OSError):
        if process.name() not in names or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()) == directory
    return False


def _signal_parents(processes: list[psutil.Process], number: int) -> None:
    """A server's own children follow it; signalled one by one they would count as crashes. Killing spares none."""
    own = {process.pid for process in processes}
    for process in processes:
        with suppress(psutil.Error):
            if number == signal.SIGKILL or process.ppid() not in own:
                process.send_signal(number)
