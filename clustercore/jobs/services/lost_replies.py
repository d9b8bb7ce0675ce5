"""What becomes of a unit whose claim was committed, and whose reply was lost with the connection."""

from __future__ import annotations

import logging
from uuid import UUID

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.domain.verdict import HandBack
from clustercore.jobs.models import Attempt
from clustercore.jobs.services.settle import settle
from clustercore.nodes.domain.hooks import Agent

logger = logging.getLogger(__name__)

LOOKS_AFTER_LOSS = 30
"""A claim may be committed some time after its connection broke."""
LOOKS_UNTIL_LOST = 5
"""In so many ticks in a row nothing holds an attempt that was given to this process: its reply is not on its way."""


class LostReplies:
    """Hands back what this process was given and never got; else it would lie for a lease, and be taken for begun."""

    def __init__(self) -> None:
        self._noted = IN_FLIGHT.replies_lost
        self._looks_left = 0
        self._strange: dict[UUID, int] = {}

    def look(self, agent: Agent) -> None:
        """Looks at one tick, as long as a reply may have been lost. Raises HUB_AWAY."""
        if self._noted != IN_FLIGHT.replies_lost:
            self._noted, self._looks_left = IN_FLIGHT.replies_lost, LOOKS_AFTER_LOSS
        if not self._looks_left:
            return
        live = Attempt.objects.filter(instance=agent.instance, outcome=AttemptOutcome.LIVE)
        strange = set(live.values_list("key", flat=True)) - IN_FLIGHT.known()
        self._strange = {key: self._strange.get(key, 0) + 1 for key in strange}
        self._looks_left -= 1
        for key in [key for key, looks in self._strange.items() if looks >= LOOKS_UNTIL_LOST]:
            logger.warning("what attempt %s was to do is handed back: the reply to its claim was lost", key)
            settle(key, HandBack(f"it did not get to {agent.name}: the reply to its claim was lost"))
            del self._strange[key]
