"""This process's row in the ledger: written at the start, beaten, and written again where somebody deleted it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from uuid import UUID

from clustercore.nodes.domain.facts import BeatAnswer, NodeFacts
from clustercore.nodes.domain.inventory import Inventory
from clustercore.nodes.domain.ledger import NodeLedger

logger = logging.getLogger(__name__)


class Registration:
    """Safe to use from any thread. All but `lost` raises what the ledger raises."""

    def __init__(self, ledger: NodeLedger, instance: UUID, facts: Callable[[], NodeFacts]) -> None:
        self._ledger = ledger
        self._instance = instance
        self._facts = facts
        self._writing = threading.Lock()
        self._ended = False
        self.node_id: int | None = None
        self.lost = threading.Event()
        """Set when the ledger does not know this process: it must be written again."""

    def write(self, inventory: Inventory) -> bool:
        """Registers the node; returns whether an operator has drained it. Raises RefusedError."""
        facts = self._facts()
        node = self._ledger.register_node(facts, inventory)
        with self._writing:
            self.node_id = node.pk
            if self._ended:
                # It may have gone offline before this came through.
                self._ledger.go_offline(node.pk, self._instance)
        self.lost.clear()
        logger.info("Node %s registered with %d slots", facts.name, facts.slots)
        return bool(node.drained)

    def write_inventory(self, inventory: Inventory) -> None:
        """Replaces what the node can serve."""
        if self.node_id is not None:
            self._ledger.update_inventory(self.node_id, inventory)

    def beat(self, hold_reason: str, idle_reason: str) -> BeatAnswer | None:
        """Says that this process lives; None where it has ended, or has never registered."""
        with self._writing:
            if self._ended or self.node_id is None:
                return None
            answer = self._ledger.beat(self.node_id, self._instance, hold_reason, idle_reason)
        if not answer.known:
            self.lost.set()
        return answer

    def end(self) -> None:
        """The node is offline, and no beat brings it back."""
        with self._writing:
            self._ended = True
            if self.node_id is not None:
                self._ledger.go_offline(self.node_id, self._instance)
