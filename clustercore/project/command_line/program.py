"""What this program gives the commands of rooms, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from clustercore.config.adapters.plugins import load
from clustercore.terminal.services.program import Tell

_HERE = "clustercore.project.command_line"


class ThisProgram:
    """As `terminal.services.program.Program` says."""

    def cluster(self) -> AbstractContextManager[None]:
        """Holds the servers of the data directory, or of the addresses that are set."""
        found: AbstractContextManager[None] = load(f"{_HERE}.cluster:cluster")()
        return found

    def private_cluster(
        self, nodes: Sequence[str], prepare: Callable[[], None], tell: Tell
    ) -> AbstractContextManager[Callable[[], None]]:
        """Runs a hub and its nodes for a block."""
        run: Any = load(f"{_HERE}.private_cluster:private_cluster")
        found: AbstractContextManager[Callable[[], None]] = run(nodes, prepare, tell)
        return found

    def hub_address(self) -> str:
        """Reads what a running `up` noted of itself."""
        state = load(f"{_HERE}.up:read_state")()
        return str(state.public_url or state.web_url) if state is not None else ""

    def take_signing_key(self) -> None:
        """Takes that of the web process."""
        load("clustercore.project.web:take_signing_key")()
