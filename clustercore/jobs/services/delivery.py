"""Bringing results that were kept on disk to the hub that they are for, and to no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from clustercore.blobs.selectors import hub_identity
from clustercore.jobs.domain.spooling import SpooledResult
from clustercore.jobs.models import Attempt, Job
from clustercore.jobs.services.placing import Deliverer, place
from clustercore.jobs.services.settle import Settled
from clustercore.jobs.services.work import settle_or_retry
from clustercore.nodes.domain.hooks import Agent

logger = logging.getLogger(__name__)

KEPT_FOR_ANOTHER_HUB_DAYS = 30
"""How long a result waits for a hub that this node does not meet."""

Step = Callable[..., object]


class Delivery:
    """Empties this node's spools. Lives in the agent's thread."""

    def __init__(self, survive: Step) -> None:
        self._survive = survive
        self._offered: set[tuple[str, str]] = set()

    def deliver(self, agent: Agent) -> None:
        """Delivers what is kept for this hub; looks once whether this hub is what became of another one."""
        kept_for = agent.spools.hubs()
        if not kept_for:
            return
        here = hub_identity()
        for hub in kept_for:
            if hub == here:
                self._deliver_all(agent, hub)
            elif (hub, here) not in self._offered:
                self._offer_all(agent, hub)
                self._offered.add((hub, here))

    def _deliver_all(self, agent: Agent, hub: str) -> None:
        spool = agent.spools.of(hub)
        for name, document in spool.items():
            self._survive(deliver_one, agent, document)
            spool.remove(name)

    def _offer_all(self, agent: Agent, hub: str) -> None:
        spool = agent.spools.of(hub)
        spool.forget_older_than(KEPT_FOR_ANOTHER_HUB_DAYS * 86_400)
        for name, document in spool.items():
            if is_known_here(document):
                self._survive(deliver_one, agent, document)
                spool.remove(name)
        if hub in agent.spools.hubs():
            logger.warning("results for another hub (%s…) are kept until this node works for it again", hub[:12])


def deliver_one(agent: Agent, document: Mapping[str, Any]) -> None:
    """Settles one result that was kept on disk, by its attempt's key or else by what it was made of."""
    found = SpooledResult.from_json(document)
    outcome = settle_or_retry(found.key, found.verdict, found.served_by)
    if outcome is Settled.UNKNOWN:
        outcome = place(found, Deliverer(agent.node_id, agent.name, agent.instance, agent.boot_id))
    logger.info("a result of %s %s, kept on disk, was delivered: %s", found.stage, found.ordinal, outcome)


def is_known_here(document: Mapping[str, Any]) -> bool:
    """Whether this ledger has the attempt or the job of a result; both keys are beyond guessing."""
    try:
        found = SpooledResult.from_json(document)
    except ValueError:
        return False
    return Attempt.objects.filter(key=found.key).exists() or Job.objects.filter(key=found.job_key).exists()
