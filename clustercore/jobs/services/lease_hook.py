"""The agent's hook: settles what an earlier process left, delivers what the spool holds, sweeps, and looks for work."""

from __future__ import annotations

import logging
import shutil

from clustercore.config.environment import environment
from clustercore.embedded.domain.shortage import shortage_in
from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.adapters.in_hand import note_in_hand, noted_in_hand
from clustercore.jobs.domain.suspicion import suspects
from clustercore.jobs.domain.verdict import HandBack, Unknown
from clustercore.jobs.services.delivery import Delivery
from clustercore.jobs.services.held_leases import HeldLeases
from clustercore.jobs.services.leases import end_left_behind
from clustercore.jobs.services.lost_replies import LostReplies
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.steps import survive, take_step
from clustercore.jobs.services.sweep import Sweeper
from clustercore.jobs.services.work import workspaces
from clustercore.jobs.services.work_finder import WakeUp, WorkFinder
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.adapters.hardware import memory_kills
from clustercore.nodes.domain.hooks import Agent

logger = logging.getLogger(__name__)

IN_HAND = "in-hand.json"


class LeaseHook:
    """Implements `AgentHook` for the ledger; `wake_up(node name, units)` rings the node's own queue.

    `leases` belongs to the thread that extends them: this one only asks since when it has.
    """

    def __init__(self, wake_up: WakeUp, leases: HeldLeases) -> None:
        self._finder = WorkFinder(wake_up)
        self._delivery = Delivery()
        self._sweeper = Sweeper(leases.extended_since)
        self._lost_replies = LostReplies()
        self._noted = False

    def on_start(self, agent: Agent) -> None:
        """What an earlier process of this node left behind since the machine started is proved to have crashed, but for
        what it had finished and kept. Raises what the database raises; may then be called again."""
        survive(agent.spools.forget_unfinished)
        survive(self._delivery.adopt, agent)
        survive(self._delivery.deliver, agent)
        left = workspaces(agent.name)
        suspected = suspects(noted_in_hand(left / IN_HAND), memory_kills())
        ended = end_left_behind(agent.name, agent.boot_id, agent.instance, suspected)
        shutil.rmtree(left, ignore_errors=True)
        if ended:
            logger.warning("%d pieces were in the hands of an earlier process of this node", ended)

    def on_tick(self, agent: Agent) -> None:
        """What is wrong with one step is told; the hub's absence begins the sweeper's grace anew and is raised."""
        try:
            self._tick(agent)
        except Exception:
            self._sweeper.hub_was_away()
            raise

    def _tick(self, agent: Agent) -> None:
        take_step(self._note_in_hand, agent)
        take_step(self._delivery.deliver, agent)
        take_step(self._lost_replies.look, agent)
        broker_away = self._finder.why_no_broker(elapsed_seconds())
        take_step(self._sweeper.sweep_if_due, elapsed_seconds, environment().lease_seconds, broker_away=broker_away)
        if self._sweeper.work_is_open:
            take_step(self._finder.look, agent)
        elif agent.taking_work:
            agent.bar({})

    def on_hand_back(self, agent: Agent) -> None:
        """Ends what is still held, so that another node may take it at once."""
        held = IN_FLIGHT.all()
        for holding in held:
            holding.lost_because = "handed back: the node is stopping"
            holding.lost.set()
        for holding in held:
            stopping = Unknown if holding.is_in_doubt else HandBack
            take_step(settle, holding.key, stopping(f"{agent.name} is stopping"))

    def _note_in_hand(self, agent: Agent) -> None:
        held = IN_FLIGHT.all()
        if held or self._noted:
            resident = agent.runners.resident_mb()
            sizes = {holding.key: resident.get(holding.tag, 0) for holding in held}
            try:
                workspaces(agent.name).mkdir(parents=True, exist_ok=True)
                note_in_hand(workspaces(agent.name) / IN_HAND, memory_kills(), sizes)
            except OSError as trouble:
                if not (short := shortage_in(trouble)):
                    raise
                agent.hold_while_short(short)
        self._noted = bool(held)
