"""What a supervisor must know of a program. PostgreSQL, Redis, the web process, nodes and Flower are declared alike."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clustercore.embedded.domain.accounts import Account

StopSignals = tuple[tuple[signal.Signals, float], ...]
"""Sent in turn, each with its patience in seconds; the first one also when the supervisor dies."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Whether somebody asks for a program. Who asks touches a file, whichever process it is.

    The file is there as long as somebody would start the program: who asks for it without it asks in vain.
    """

    path: Path
    idle_seconds: float

    def open(self) -> None:
        """Makes it known that one may ask; nobody has yet."""
        with suppress(OSError):
            self.path.touch(mode=0o600)
            os.utime(self.path, (0, 0))

    def close(self) -> None:
        """Makes it known that nobody need ask any more."""
        with suppress(OSError):
            self.path.unlink()

    def is_made(self) -> bool:
        """The clock of files is the wall's: one that was set back leaves a file in the future, which counts as new."""
        with suppress(OSError):
            return time.time() - self.path.stat().st_mtime < self.idle_seconds
        return False


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is kept running, and how."""

    name: str
    prepare: Callable[[], tuple[list[str], bytes]]
    """Returns the command and its standard input, before each start; may write files that the program reads."""
    stop_signals: StopSignals
    log: Path
    environment: Mapping[str, str]
    """All of it: nothing else is inherited."""
    directory: Path | None = None
    """Where it works; by default where its supervisor does."""
    account: Account | None = None
    """Whom root runs it as; by default our own."""
    process_names: frozenset[str] = frozenset()
    """Of processes in `directory` that an earlier supervisor left, to be ended before a start."""
    probe: Callable[[], Awaitable[bool]] | None = None
    """Whether it takes its clients' work; without one it is ready as soon as it runs."""
    is_needed_last: bool = True
    """False: it is stopped before the others, which it needs for what it finishes."""
    gives_up: bool = False
    """Whether it is left alone when it ended again and again before it was ready; the others are tried for ever."""
    tells_of_shortage: bool = False
    """Whether what it says is read, and written to its log by the supervisor; otherwise it has the file itself."""
    demand: Demand | None = None
    """Who may ask for it; by default it runs all the time."""
