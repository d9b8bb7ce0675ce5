"""A ledger in memory, which can be away, and a consumer that remembers what it was told to take."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.db import OperationalError

from clustercore.nodes.domain.consumption import Consumption
from clustercore.nodes.domain.engine import JsonObject
from clustercore.nodes.domain.facts import BeatAnswer, NodeFacts
from clustercore.nodes.domain.inventory import Inventory
from clustercore.nodes.domain.ledger import NameTakenError


@dataclass
class MemoryLedger:
    """Implements `NodeLedger`."""

    away: bool = False
    drained: bool = False
    name_taken: bool = False
    known: bool = True
    registrations: list[NodeFacts] = field(default_factory=list)
    beats: list[tuple[str, str]] = field(default_factory=list)
    inventories: list[Inventory] = field(default_factory=list)
    offline: list[UUID] = field(default_factory=list)
    self_test: JsonObject = field(default_factory=dict)

    def register_node(self, facts: NodeFacts, inventory: Inventory) -> Any:
        self._answer()
        if self.name_taken:
            raise NameTakenError(facts.name, "elsewhere", 1)
        self.registrations.append(facts)
        self.inventories.append(inventory)
        self.known = True
        return SimpleNamespace(pk=7, drained=self.drained)

    def update_inventory(self, node_id: int, inventory: Inventory) -> None:
        self._answer()
        self.inventories.append(inventory)

    def beat(self, node_id: int, instance: UUID, hold_reason: str, idle_reason: str) -> BeatAnswer:
        self._answer()
        self.beats.append((hold_reason, idle_reason))
        return BeatAnswer(known=self.known, drained=self.drained)

    def go_offline(self, node_id: int, instance: UUID) -> None:
        self._answer()
        self.offline.append(instance)

    def recorded_self_test(self, node_id: int) -> JsonObject:
        self._answer()
        return self.self_test

    def record_self_test(self, node_id: int, results: JsonObject) -> None:
        self._answer()
        self.self_test = results

    def _answer(self) -> None:
        if self.away:
            raise OperationalError("the server closed the connection")


class RememberedConsumer:
    """Stands for a connected worker's consumer."""

    ready = True

    def __init__(self) -> None:
        self.wanted = Consumption()

    def becomes_ready(self, ended: threading.Event) -> bool:
        return not ended.is_set()

    def apply(self, wanted: Consumption) -> None:
        self.wanted = wanted

    def wake(self) -> None:
        """A consumer in memory never sleeps."""
