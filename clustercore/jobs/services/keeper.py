"""The agent's hook: extends leases, delivers what the spool holds, sweeps, and knocks for what waits."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from typing import ParamSpec

from clustercore.config.environment import environment
from clustercore.embedded.domain.shortage import shortage_in
from clustercore.jobs.adapters.clocks import elapsed_seconds
from clustercore.jobs.adapters.holdings import HOLDINGS
from clustercore.jobs.adapters.in_hand import note_in_hand, noted_in_hand
from clustercore.jobs.domain.suspicion import suspects
from clustercore.jobs.domain.verdict import HandBack, Unknown
from clustercore.jobs.services.delivery import Delivery
from clustercore.jobs.services.leases import end_left_behind, extend_leases
from clustercore.jobs.services.looking import Knock, WorkFinder
from clustercore.jobs.services.mishaps import HUB_AWAY
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.sweep import Sweeper
from clustercore.jobs.services.work import workspaces
from clustercore.nodes.adapters.hardware import memory_kills
from clustercore.nodes.adapters.repeated_failures import RepeatedFailures
from clustercore.nodes.domain.hooks import Agent

logger = logging.getLogger(__name__)

P = ParamSpec("P")

IN_HAND = "in-hand.json"


def survive(step: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    """Runs a step of a tick; what is wrong with it is logged and must not keep the others from their turn.

    The hub's absence is everybody's matter and is raised.
    """
    name = f"the ledger's step {getattr(step, '__name__', step)}"
    try:
        step(*arguments, **named)
    except HUB_AWAY:
        raise
    except Exception as error:
        _FAILURES.tell(name, error)
    else:
        _FAILURES.over(name)


_FAILURES = RepeatedFailures(logger)


class LeaseKeeper:
    """Implements `AgentHook` for the ledger; `knock(node name, units)` rings the node's own queue."""

    def __init__(self, knock: Knock) -> None:
        self._finder = WorkFinder(knock)
        self._delivery = Delivery(survive)
        self._sweeper = Sweeper()
        self._extended = 0.0
        self._reachable = False
        self._noted = False

    def on_start(self, agent: Agent) -> None:
        """What an earlier process of this node left behind since the machine started is proved to have crashed, but for
        what it had finished and kept."""
        survive(agent.spools.forget_unfinished)
        survive(self._delivery.adopt, agent)
        survive(self._delivery.deliver, agent)
        left = workspaces(agent.name)
        suspected = suspects(noted_in_hand(left / IN_HAND), memory_kills())
        shutil.rmtree(left, ignore_errors=True)
        ended = end_left_behind(agent.name, agent.boot_id, agent.instance, suspected)
        if ended:
            logger.warning("%d pieces were in the hands of an earlier process of this node", ended)

    def on_tick(self, agent: Agent) -> None:
        """Extends first: a holder that can reach the ledger must never lose work to a sweep."""
        try:
            self._tick(agent)
        except Exception:
            self._reachable = False
            self._sweeper.hub_was_away()
            raise

    def _tick(self, agent: Agent) -> None:
        now = elapsed_seconds()
        survive(self._note_in_hand, agent)
        if now - self._extended >= environment().heartbeat_seconds or not self._reachable:
            self._extend(agent)
            self._extended = now
        self._reachable = True
        survive(self._delivery.deliver, agent)
        survive(
            self._sweeper.sweep_if_due, now, environment().lease_seconds, broker_away=self._finder.why_no_broker(now)
        )
        survive(self._finder.look, agent)

    def on_hand_back(self, agent: Agent) -> None:
        """Ends what is still held, so that another node may take it at once."""
        held = HOLDINGS.all()
        for holding in held:
            holding.lost_because = "handed back: the node is stopping"
            holding.lost.set()
        for holding in held:
            stopping = Unknown if holding.is_in_doubt else HandBack
            survive(settle, holding.key, stopping(f"{agent.name} is stopping"))

    def _extend(self, agent: Agent) -> None:
        held = HOLDINGS.extendable(environment().silent_host_seconds)
        survive(self._delivery.look, agent)
        kept = dict.fromkeys(self._delivery.on_the_way, 1.0)
        still_mine = extend_leases(agent.instance, kept | held, environment().lease_seconds)
        for holding in HOLDINGS.all():
            if holding.key in held and holding.key not in still_mine:
                holding.lost_because = "cancelled, or taken by another node"
                holding.lost.set()
                agent.hosts.kill(holding.tag, holding.lost_because)

    def _note_in_hand(self, agent: Agent) -> None:
        held = HOLDINGS.all()
        if held or self._noted:
            resident = agent.hosts.resident_mb()
            sizes = {holding.key: resident.get(holding.tag, 0) for holding in held}
            try:
                workspaces(agent.name).mkdir(parents=True, exist_ok=True)
                note_in_hand(workspaces(agent.name) / IN_HAND, memory_kills(), sizes)
            except OSError as trouble:
                if not (short := shortage_in(trouble)):
                    raise
                agent.hold_while_short(short)
        self._noted = bool(held)
