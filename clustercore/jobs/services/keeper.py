"""The agent's hook: extends leases, delivers what the spool holds, sweeps, and knocks for what waits."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec

from clustercore.config.environment import environment
from clustercore.jobs.adapters.holdings import HOLDINGS
from clustercore.jobs.domain.verdict import HandBack, from_json
from clustercore.jobs.domain.waiting import node_idles_because
from clustercore.jobs.selectors.eligibility import Waiting, below_floor, claimable
from clustercore.jobs.services.leases import extend_leases, reap, strike_crashed_instances
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.sweep import explain_waiting_jobs, finish_forgotten_jobs
from clustercore.jobs.services.work import HUB_AWAY, settle_or_retry, workspaces
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.selectors import boot_id_of

logger = logging.getLogger(__name__)

P = ParamSpec("P")

Knock = Callable[[str, Sequence[Waiting]], None]

KNOCKS_PER_SLOT = 4
"""When the bells are lost a node finds its own work, and should not wait for a tick between short pieces."""


def survive(step: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    """Runs a step of a tick; what is wrong with it is logged and must not keep the others from their turn.

    The hub's absence is everybody's matter and is raised.
    """
    try:
        step(*arguments, **named)
    except HUB_AWAY:
        raise
    except Exception:
        logger.exception("a step of the ledger's tick failed")


def deliver_spooled(document: dict[str, Any]) -> None:
    """Settles one result that was kept on disk."""
    served_by = document.pop("served_by", {})
    attempt = int(document.pop("attempt"))
    outcome = settle_or_retry(attempt, from_json(document), served_by)
    logger.info("result of attempt %s delivered from disk: %s", attempt, outcome)


class LeaseKeeper:
    """Implements `AgentHook` for the ledger; `knock(node name, units)` rings the node's own queue."""

    def __init__(self, knock: Knock) -> None:
        self._knock = knock
        self._knocker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="knock")
        self._knocking: Future[None] | None = None
        self._extended = 0.0
        self._swept = 0.0
        self._reachable_since: float | None = None

    def on_start(self, agent: Agent) -> None:
        """What an earlier process of this node left behind is proved to have crashed."""
        shutil.rmtree(workspaces(agent.name), ignore_errors=True)
        ended = strike_crashed_instances(agent.name, boot_id_of(agent.node_id), agent.instance)
        if ended:
            logger.warning("%d pieces were in the hands of an earlier process of this node", ended)

    def on_tick(self, agent: Agent) -> None:
        """Extends first: a holder that can reach the ledger must never lose work to a sweep."""
        try:
            self._tick(agent)
        except Exception:
            self._reachable_since = None
            raise

    def _tick(self, agent: Agent) -> None:
        now = time.monotonic()
        if now - self._extended >= environment().heartbeat_seconds or self._reachable_since is None:
            self._extend(agent)
            self._extended = now
        self._reachable_since = self._reachable_since or now
        survive(self._deliver_spool, agent)
        survive(self._sweep, now)
        survive(self._look_for_work, agent)

    def on_hand_back(self, agent: Agent) -> None:
        """Ends what is still held, so that another node may take it at once."""
        held = HOLDINGS.all()
        for holding in held:
            holding.lost_because = "handed back: the node is stopping"
            holding.lost.set()
        for holding in held:
            survive(settle, holding.attempt_id, HandBack(f"{agent.name} is stopping"))

    def _extend(self, agent: Agent) -> None:
        held = HOLDINGS.extendable(environment().silent_host_seconds)
        still_mine = extend_leases(agent.instance, held, environment().lease_seconds)
        for holding in HOLDINGS.all():
            if holding.attempt_id in held and holding.attempt_id not in still_mine:
                holding.lost_because = "cancelled, or taken by another node"
                holding.lost.set()
                agent.hosts.kill(holding.tag, holding.lost_because)

    def _deliver_spool(self, agent: Agent) -> None:
        for name, document in agent.spool.items():
            survive(deliver_spooled, document)
            agent.spool.remove(name)

    def _sweep(self, now: float) -> None:
        lease = environment().lease_seconds
        if self._reachable_since is None or now - self._reachable_since < lease or now - self._swept < lease / 8:
            return
        self._swept = now
        if reap(lease) is not None:
            explain_waiting_jobs()
            finish_forgotten_jobs()

    def _look_for_work(self, agent: Agent) -> None:
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
            self._knocking = self._knocker.submit(self._knock, node_name, waiting)

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
