"""What a lower room needs from a higher one: rooms above register here and the node agent calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from clustercore.embedded.domain.registry import Registry
from clustercore.nodes.domain.engine import JsonObject


class RunnerDied(Exception):
    """The engine runner ended under a request. `deliberate` when this node killed it (cancel, time limit, stop)."""

    def __init__(self, reason: str, *, deliberate: bool, log_tail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.deliberate = deliberate
        self.log_tail = log_tail


class Runners(Protocol):
    """The engine runners of this node."""

    def call(
        self,
        engine: str,
        model: str,
        request: JsonObject,
        *,
        tag: str,
        on_report: Callable[[float, JsonObject | None], None],
    ) -> JsonObject:
        """One request to a warm host of `engine:model`; waits. Raises EngineFailure, ResourceShortage, RunnerDied.

        `on_report` runs in the calling thread; whatever it raises kills the host's request and is raised here.
        """
        ...

    def kill(self, tag: str, reason: str) -> None:
        """Kills the host that serves `tag` now, if any; its caller gets RunnerDied(deliberate=True)."""
        ...

    def kill_all(self, reason: str) -> None: ...

    def resident_mb(self) -> Mapping[str, int]:
        """The tags that a host works on now, each with the memory of that host."""
        ...


class Spool(Protocol):
    """Small JSON documents, each with files, that survive the process: written with fsync and an atomic rename."""

    def put(self, name: str, document: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> None:
        """Files by keys that are safe as names of files; all of them are there when the document is. Raises OSError."""
        ...

    def items(self) -> list[tuple[str, dict[str, Any]]]:
        """Oldest first; an unreadable document is set aside, logged and not returned."""
        ...

    def file(self, name: str, key: str) -> Path:
        """Where the file lies that was put with the document of this name, under this key."""
        ...

    def remove(self, name: str) -> None:
        """Forgets the document of this name and its files; nothing happens if there is none."""
        ...

    def set_aside(self, name: str) -> None:
        """Keeps the document of this name and its files where nobody looks for them but a person."""
        ...

    def forget_older_than(self, seconds: float) -> None:
        """Removes what has been kept for longer."""
        ...


class Spools(Protocol):
    """A spool for each hub that this node has worked for."""

    def of(self, hub: str) -> Spool:
        """The spool for the hub of this identity."""
        ...

    def hubs(self) -> list[str]:
        """The hubs for which something is kept."""
        ...

    def forget_unfinished(self) -> None:
        """Removes what a process that died was about to put or to remove; for before the first unit."""
        ...


class Agent(Protocol):
    """The node agent as its hooks see it."""

    @property
    def node_id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def instance(self) -> UUID: ...
    @property
    def boot_id(self) -> str:
        """Changes each time the machine starts."""
        ...

    @property
    def slots(self) -> int: ...
    @property
    def runners(self) -> Runners: ...
    @property
    def spools(self) -> Spools: ...
    @property
    def capabilities(self) -> tuple[str, ...]:
        """What this node can do now, as it told the ledger."""
        ...

    @property
    def taking_work(self) -> bool:
        """False while held, drained or stopping."""
        ...

    def hold_while_short(self, short: str) -> None:
        """Takes nothing for some seconds, because this machine has no disk, memory or descriptors left."""
        ...

    def bar(self, reasons: Mapping[str, str]) -> None:
        """The capabilities this node must not consume just now, each with its reason; replaces the last call's."""
        ...


class LeaseExtender(Protocol):
    """Called from the thread that beats, which does nothing else: it may ask the ledger, and wait for nothing else."""

    def extend(self, agent: Agent) -> bool:
        """Extends what this process holds; False where something of it is to be tried again soon.

        Raises what the database raises.
        """
        ...


class AgentHook(Protocol):
    """Called from the agent's upkeep thread, never from a slot. An exception is logged and survived."""

    def on_start(self, agent: Agent) -> None:
        """After registration, before the first unit; again, where the database did not let it."""
        ...

    def on_tick(self, agent: Agent) -> None:
        """Every tick (about a second, at least eight times per lease)."""
        ...

    def on_hand_back(self, agent: Agent) -> None:
        """The grace is over: end what is still held so that another node may take it at once. Waits for nothing else,
        as there is a second or so for all hooks together; the one that was registered last is the first to be called.
        """
        ...


agent_hooks: Registry[AgentHook] = Registry()
"""One for each room that has something to do in the agent's upkeep."""
lease_extenders: Registry[LeaseExtender] = Registry()
"""One for each room that gives leases."""
