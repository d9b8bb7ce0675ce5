"""A hub and nodes of this data directory for as long as a command runs, and nothing of it afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from clustercore.config.environment import environment
from clustercore.embedded.adapters.locks import try_lock
from clustercore.embedded.services import stop
from clustercore.project.command_line.hub import NodeWish, running_hub
from clustercore.project.command_line.servers import run_directory
from clustercore.project.command_line.up import LOCK, stop_signals
from clustercore.terminal.adapters.console import remark
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.services.program import Tell

_LINGER_SECONDS = 2.0
_MOST_RESTARTS = 2


@contextmanager
def private_cluster(nodes: Sequence[str], prepare: Callable[[], None], tell: Tell) -> Iterator[Callable[[], None]]:
    """Runs them, each node with one slot; `prepare` is called before they start.

    Yields what is to be called now and then: it starts again what ended. Raises CommandError.
    """
    if sys.platform == "win32":
        raise CommandError("this brings servers that need Linux or macOS", ExitCode.USAGE)
    with _alone(), stop_signals() as stopping, _servers_stopped_after():
        prepare()
        wishes = [NodeWish(name, 1) for name in nodes]
        with running_hub(wishes, tell, linger_seconds=_LINGER_SECONDS) as hub:
            stopping.hub = hub
            # The nodes stay with the servers: it asked its last question.
            hub.ledger.close()
            yield lambda: hub.keep(remark, _MOST_RESTARTS)


@contextmanager
def _alone() -> Iterator[None]:
    lock = try_lock(run_directory() / LOCK)
    if lock is None:
        raise CommandError("a demo is running already")
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def _servers_stopped_after() -> Iterator[None]:
    try:
        yield
    finally:
        stop(environment().data_dir)
