"""What a worker takes now, and why not more: the holds and the bars."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from clustercore.nodes.adapters.holds import AT_START, SHORTAGE_SECONDS, Holds
from clustercore.nodes.adapters.subscription import Subscription
from clustercore.nodes.domain.facts import Consumption
from clustercore.nodes.domain.queues import queue_for, queue_for_node

logger = logging.getLogger(__name__)


class Intake:
    """Keeps a worker's consumer at what the node may take. Safe to use from any thread, and waits for nothing.

    `says` is called when there is something new that the ledger should be told soon.
    """

    def __init__(
        self,
        node_name: str,
        slots: int,
        subscription: Subscription,
        capabilities: Callable[[], tuple[str, ...]],
        says: Callable[[], None],
    ) -> None:
        self._node_name = node_name
        self._slots = slots
        self._subscription = subscription
        self._capabilities = capabilities
        self._says = says
        self._holds = Holds(start=AT_START)
        self._lock = threading.Lock()
        self._barred: dict[str, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether anything is taken at all."""
        return not self._holds

    @property
    def hold_reason(self) -> str:
        """Why nothing is taken; empty when work is taken."""
        return self._holds.reason

    @property
    def idle_reason(self) -> str:
        """Which capabilities are barred, and why."""
        with self._lock:
            return "; ".join(f"{capability}: {reason}" for capability, reason in sorted(self._barred.items()))

    def bar(self, reasons: Mapping[str, str]) -> None:
        """As `Agent.bar`; acts at once."""
        with self._lock:
            changed = self._barred != dict(reasons)
            self._barred = dict(reasons)
        if changed:
            self._changed()

    def hold(self, source: str, reason: str, seconds: float | None = None) -> None:
        """Takes nothing until `release(source)`, or for so long at most; several sources may hold at once."""
        if self._holds.put(source, reason, seconds):
            self._changed()

    def hold_while_short(self, short: str) -> None:
        """As `Agent.hold_while_short`."""
        reason = f"this machine has {short}; work is taken up again by itself"
        if reason not in self.hold_reason:
            logger.error("Held for %g s at a time: %s", SHORTAGE_SECONDS, reason)
        self.hold("shortage", reason, SHORTAGE_SECONDS)

    def release(self, source: str) -> None:
        """Ends the hold of this source, if there is one."""
        if self._holds.remove(source):
            self._changed()

    def end_expired_holds(self) -> None:
        """Ends those whose time is up."""
        if self._holds.end_expired():
            self._says()

    def wanted(self) -> Consumption:
        """What the worker should consume now."""
        if self._holds:
            return Consumption(prefetch=self._slots)
        with self._lock:
            able = [capability for capability in self._capabilities() if capability not in self._barred]
        queues = {queue_for(capability) for capability in able} | {queue_for_node(self._node_name)}
        return Consumption(queues=frozenset(queues), prefetch=self._slots)

    def apply(self) -> None:
        """Brings the worker's consumer to the wanted state; a reconnect resets it, so it is done again and again."""
        self._subscription.apply(self.wanted())

    def _changed(self) -> None:
        self._says()
        self.apply()
