"""How a node finds work that no message told it of: it looks into the ledger and rings its own queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from clustercore.jobs.adapters.holdings import HOLDINGS
from clustercore.jobs.domain.waiting import node_idles_because
from clustercore.jobs.selectors.eligibility import Waiting, below_floor, claimable
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.domain.hooks import Agent

Knock = Callable[[str, Sequence[Waiting]], str]
"""Rings the queue of the node of that name; says why it could not."""

KNOCKS_PER_SLOT = 4
"""When the bells are lost a node finds its own work, and should not wait for a tick between short pieces."""

KNOCK_COUNTS_SECONDS = 15.0
"""What a knock found out of the broker is not told for longer: who has work need not knock."""


class WorkFinder:
    """Looks for what this node may claim now; `knock(node name, units)` rings the node's own queue."""

    def __init__(self, knock: Knock) -> None:
        self._knock = knock
        self._knocker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="knock")
        self._knocking: Future[None] | None = None
        self._broker_away = ("", float("-inf"))

    def why_no_broker(self, now: float) -> str | None:
        """Empty while the broker answers; None where this node has not asked it of late."""
        away, asked = self._broker_away
        return away if now - asked < KNOCK_COUNTS_SECONDS else None

    def look(self, agent: Agent) -> None:
        """Knocks for what waits and could be claimed here, and bars what is not for this node."""
        if not agent.taking_work:
            return
        capabilities = agent.capabilities
        pending = HOLDINGS.pending_knocks()
        free = agent.slots - len(HOLDINGS.all()) - len(pending)
        waiting = claimable(agent.node_id, capabilities, KNOCKS_PER_SLOT * agent.slots)
        agent.bar({} if waiting else self._bars(agent, capabilities))
        if waiting and free <= 0:
            # A busy node has bells enough, but none for what was interrupted: it would be the last of its job.
            interrupted = claimable(agent.node_id, capabilities, agent.slots, interrupted=True)
            waiting = [unit for unit in interrupted if unit.unit_id not in pending]
        if waiting:
            HOLDINGS.knocked(unit.unit_id for unit in waiting)
            self._knock_aside(agent.name, waiting)

    def _knock_aside(self, node_name: str, waiting: Sequence[Waiting]) -> None:
        """In a thread of its own: while the broker is away a bell takes longer than a lease."""
        if self._knocking is None or self._knocking.done():
            self._knocking = self._knocker.submit(self._ring_own_queue, node_name, waiting)

    def _ring_own_queue(self, node_name: str, waiting: Sequence[Waiting]) -> None:
        self._broker_away = (self._knock(node_name, waiting), elapsed_seconds())

    def _bars(self, agent: Agent, capabilities: Sequence[str]) -> dict[str, str]:
        return {
            found.capability: node_idles_because(
                floor=found.floor,
                best_here=found.best_here,
                best_anywhere=found.best_anywhere,
                best_node=found.best_node,
            )
            for found in below_floor(agent.node_id, capabilities)
        }
