"""What this machine can do, looked at now and then: models may have been downloaded or deleted since."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from clustercore.nodes.domain.inventory import Inventory

logger = logging.getLogger(__name__)

INVENTORY_SECONDS = 30.0


class InventoryWatch:
    """Asks the engines in a thread of its own: a plug-in may ask a network, and nothing waits for its answer.

    The first look is made at once, for without it there is nothing to register.
    """

    def __init__(self, look: Callable[[], Inventory]) -> None:
        self._look = look
        self._found = self.known = look()
        self._due = time.monotonic() + INVENTORY_SECONDS
        self._thread = threading.Thread()
        self._is_late = False

    def changed(self) -> Inventory | None:
        """What the engines say now, where that is not what is known; asks them again when it is time."""
        if time.monotonic() >= self._due:
            self._ask()
        return self._found if self._found != self.known else None

    def _ask(self) -> None:
        if self._thread.is_alive():
            if not self._is_late:
                logger.warning(
                    "An engine has not said for %g s what it has; what it said last counts", INVENTORY_SECONDS
                )
            self._is_late = True
        else:
            self._is_late = False
            self._thread = threading.Thread(target=self._run, name="node inventory", daemon=True)
            self._thread.start()
        self._due = time.monotonic() + INVENTORY_SECONDS

    def _run(self) -> None:
        self._found = self._look()


def tell_inventory(inventory: Inventory) -> None:
    """Logs what a node can do, and what it cannot."""
    logger.info("This node can do: %s", ", ".join(inventory.capabilities()))
    for ranked in inventory.models:
        if not ranked.record.usable:
            logger.info("Not usable: %s %s: %s", ranked.record.engine, ranked.record.model, ranked.record.reason)
