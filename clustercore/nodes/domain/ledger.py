"""What the node agent needs written down: the services of this room, handed to it when Django is ready."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from clustercore.embedded.domain.registry import SoleEntry
from clustercore.nodes.domain.engine import JsonObject
from clustercore.nodes.domain.facts import BeatAnswer, NodeFacts
from clustercore.nodes.domain.inventory import Inventory


class RefusedError(Exception):
    """The ledger does not take this node; the message says what to do."""


class TooOldError(RefusedError):
    """The hub is of a newer version, by whose rules this one cannot work."""


class NameTakenError(RefusedError):
    """Another worker process that is alive has registered under this name."""

    def __init__(self, name: str, hostname: str, process_id: int) -> None:
        super().__init__(
            f"A node named {name!r} is running already (on {hostname}, process {process_id}). "
            "Give this one another name: `clustercore node --name OTHER`, or set CLUSTERCORE_NODE_NAME."
        )


class NodeLedger(Protocol):
    """The functions of `services.py` that the agent calls; see there."""

    def register_node(self, facts: NodeFacts, inventory: Inventory) -> Any: ...

    def update_inventory(self, node_id: int, inventory: Inventory) -> None: ...

    def beat(self, node_id: int, instance: UUID, hold_reason: str, idle_reason: str) -> BeatAnswer: ...

    def go_offline(self, node_id: int, instance: UUID) -> None: ...

    def recorded_self_test(self, node_id: int) -> JsonObject: ...

    def record_self_test(self, node_id: int, results: JsonObject) -> None: ...


node_ledger: SoleEntry[NodeLedger] = SoleEntry()
"""This room's services, which import models, so that the agent learns of them when Django is ready."""
