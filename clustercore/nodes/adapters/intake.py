"""Keeps a worker at what its node may take: remembers holds and pauses, and applies what follows from them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping

from clustercore.nodes.adapters.consumer_control import ConsumerControl
from clustercore.nodes.domain.consumption import (
    AT_START,
    DRAINED,
    SHORTAGE_SECONDS,
    Consumption,
    Hold,
    HoldSource,
    consumption,
    unexpired,
)

logger = logging.getLogger(__name__)


class Intake:
    """What the node may take, for any thread to ask and to change; no method waits for anything.

    `says` is called when there is something new that the ledger should be told soon.
    """

    def __init__(
        self,
        node: str,
        slots: int,
        consumer: ConsumerControl,
        capabilities: Callable[[], tuple[str, ...]],
        says: Callable[[], None],
    ) -> None:
        self._node = node
        self._slots = slots
        self._consumer = consumer
        self._capabilities = capabilities
        self._says = says
        # Slots, both threads of the agent and the stopper change these. Under the lock nothing but memory is touched,
        # so that nobody waits there. What follows is applied outside of it: where one thread overtakes another with
        # that, the next tick puts it right.
        self._lock = threading.Lock()
        self._holds: dict[str, Hold] = {HoldSource.START: Hold(AT_START)}
        self._paused: dict[str, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether anything is taken at all; slots ask before each unit."""
        with self._lock:
            return not self._holds

    @property
    def hold_reason(self) -> str:
        """Why nothing is taken; empty when work is taken."""
        return self.wanted().hold_reason

    @property
    def idle_reason(self) -> str:
        """Which capabilities are paused, and why."""
        return self.wanted().idle_reason

    def bar(self, reasons: Mapping[str, str]) -> None:
        """As `Agent.bar`; acts at once."""
        with self._lock:
            is_new = self._paused != dict(reasons)
            self._paused = dict(reasons)
        if is_new:
            self._changed()

    def hold(self, source: str, reason: str, seconds: float | None = None) -> None:
        """Takes nothing until `release(source)`, or for so long at most; several sources may hold at once."""
        ends = math.inf if seconds is None else time.monotonic() + seconds
        with self._lock:
            is_new = source not in self._holds or self._holds[source].reason != reason
            self._holds[source] = Hold(reason, ends)
        if is_new:
            self._changed()

    def release(self, source: str) -> None:
        """Ends the hold of this source, if there is one."""
        with self._lock:
            had = self._holds.pop(source, None)
        if had is not None:
            self._changed()

    def obey(self, *, drained: bool) -> None:
        """Does what the node's row says: it is this process's, and an operator has drained it or has not."""
        self.release(HoldSource.NAME)
        if drained:
            self.hold(HoldSource.OPERATOR, DRAINED)
        else:
            self.release(HoldSource.OPERATOR)

    def hold_while_short(self, short: str) -> None:
        """As `Agent.hold_while_short`."""
        reason = f"this machine has {short}; work is taken up again by itself"
        if reason not in self.hold_reason:
            logger.error("Held for %g s at a time: %s", SHORTAGE_SECONDS, reason)
        self.hold(HoldSource.SHORTAGE, reason, SHORTAGE_SECONDS)

    def end_expired_holds(self) -> None:
        """Ends those whose time is up; one that a slot renews meanwhile stays."""
        with self._lock:
            left = unexpired(self._holds, time.monotonic())
            is_new = left != self._holds
            self._holds = left
        if is_new:
            self._says()

    def wanted(self) -> Consumption:
        """Returns what the worker should consume now."""
        capabilities = self._capabilities()
        with self._lock:
            return consumption(
                node=self._node,
                slots=self._slots,
                capabilities=capabilities,
                holds=self._holds,
                paused=self._paused,
            )

    def apply(self) -> None:
        """Brings the worker's consumer to the wanted state; a reconnect resets it, so it is done again and again."""
        self._consumer.apply(self.wanted())

    def _changed(self) -> None:
        self._says()
        self.apply()
