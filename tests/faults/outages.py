"""Servers that are really away for a while: their supervisor is frozen, so that it cannot start them again at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.db import connection

from clustercore.embedded.services import status
from tests.faults.waiting import until
from tests.faults.workers import is_gone

REDIS, POSTGRES = "Redis", "PostgreSQL"
IMMEDIATE = signal.SIGQUIT
"""PostgreSQL's `immediate` stop: no checkpoint, no farewell; it recovers from its log when it starts again."""


@contextmanager
def outage(data_directory: Path, server: str, number: int) -> Iterator[None]:
    """Ends a server by a signal; it comes back, by its supervisor, when the block ends."""
    found = status(data_directory)
    supervisor, victim = int(found["pid"]), psutil.Process(int(found["servers"][server]["pid"]))
    os.kill(supervisor, signal.SIGSTOP)
    try:
        victim.send_signal(number)
        until(lambda: is_gone(victim), 20, f"{server} did not end")
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)
    until(lambda: _is_back(data_directory, server, victim.pid), 60, f"{server} did not come back")
    # What this process's pool still holds leads to the server that died.
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


def _is_back(data_directory: Path, server: str, before: int) -> bool:
    found = status(data_directory)["servers"].get(server, {})
    return bool(found.get("state") == "ready" and found.get("pid") != before)
