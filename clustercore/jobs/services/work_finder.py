"""How a node finds work that no message told it of, and wakes its own free slots for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.domain.kinds import remedies_of
from clustercore.jobs.domain.waiting import node_idles_because
from clustercore.jobs.services.available import Waiting, below_floor, claimable
from clustercore.jobs.services.claim import Claimed
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.adapters.repeated_failures import RepeatedFailures
from clustercore.nodes.domain.hooks import Agent

logger = logging.getLogger(__name__)

WakeUp = Callable[[str, Sequence[Waiting]], str]
"""Rings the queue of the node of that name; says why it could not."""

WAKE_UP_COUNTS_SECONDS = 15.0
"""What a wake-up found out of the broker is not told for longer: who has work need not be woken."""

KNOCKING = "Waking this node's own slots"

_WAKE_UP: list[WakeUp] = []


def use_wake_up(wake_up: WakeUp) -> None:
    """Says how a slot that ends before the work does wakes another one."""
    _WAKE_UP[:] = [wake_up]


def wake(agent: Agent, last: Claimed) -> None:
    """Sends one message to the node's own queue, for what may be left after the unit that was done last.

    Where it cannot be sent, or is lost, the node finds what is left at its next look.
    """
    IN_FLIGHT.knocked([last.unit_id])
    for wake_up in _WAKE_UP:
        wake_up(agent.name, [Waiting(last.unit_id, last.kind, last.stage)])


class WorkFinder:
    """Looks into the ledger for the agent; `wake_up(node name, units)` rings the node's own queue."""

    def __init__(self, wake_up: WakeUp) -> None:
        self._wake_up = wake_up
        self._knocker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wake_up")
        self._knocking: Future[None] | None = None
        self._broker_away = ("", float("-inf"))
        self._failures = RepeatedFailures(logger)

    def look(self, agent: Agent) -> None:
        """Wakes as many slots as are free and there are units for, and says which capabilities have work for others.

        A node whose slots are all in use is not asked: they go on by themselves.
        """
        if not agent.taking_work:
            return
        pending = IN_FLIGHT.pending_wake_ups()
        free = agent.slots - IN_FLIGHT.places - len(pending)
        if free <= 0:
            return
        capabilities = agent.capabilities
        waiting = claimable(agent.node_id, capabilities, free + len(pending))
        agent.bar({} if waiting else self._bars(agent, capabilities))
        fresh = [unit for unit in waiting if unit.unit_id not in pending][:free]
        if fresh:
            IN_FLIGHT.knocked(unit.unit_id for unit in fresh)
            self._wake_up_aside(agent.name, fresh)

    def why_no_broker(self, now: float) -> str | None:
        """Empty while the broker answers; None where this node has not asked it of late."""
        away, asked = self._broker_away
        return away if now - asked < WAKE_UP_COUNTS_SECONDS else None

    def _wake_up_aside(self, node_name: str, waiting: Sequence[Waiting]) -> None:
        """In a thread of its own: while the broker is away a bell takes longer than a lease."""
        if self._knocking is None or self._knocking.done():
            self._knocking = self._knocker.submit(self._ring_own_queue, node_name, waiting)

    def _ring_own_queue(self, node_name: str, waiting: Sequence[Waiting]) -> None:
        """What it fails with is told as the broker's absence is: nobody looks at what a thread of its own raises."""
        try:
            away = self._wake_up(node_name, waiting)
            self._failures.over(KNOCKING)
        except Exception as error:
            self._failures.tell(KNOCKING, error)
            away = f"{type(error).__name__}: {error}"
        self._broker_away = (away, elapsed_seconds())

    def _bars(self, agent: Agent, capabilities: Sequence[str]) -> dict[str, str]:
        return {
            found.capability: node_idles_because(
                floor=found.floor,
                best_here=found.best_here,
                best_anywhere=found.best_anywhere,
                best_node=found.best_node,
                lower=remedies_of(found.kind).lower,
            )
            for found in below_floor(agent.node_id, capabilities)
        }
