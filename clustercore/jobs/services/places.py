"""What the messages of a canvas do: a place of its header works a stage off, its body runs the join."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.models import Unit
from clustercore.jobs.services.claim import CanvasPlace, claim
from clustercore.jobs.services.mishaps import HUB_AWAY, hub_state, hub_trouble
from clustercore.jobs.services.work import claimant_of, do, work
from clustercore.nodes.adapters.agent import current_agent

logger = logging.getLogger(__name__)

SECONDS = 10.0
"""For so long a place takes further units; then its message goes back to the queue, behind what waits there."""
NOT_HERE = "this node takes no work now"
NO_JOB = "this is no job"
STILL_BLOCKED = "its inputs are not closed yet: the transaction that closes the last one sends it"


@dataclass(frozen=True, slots=True)
class PlaceOutcome:
    """How a place ended, in a word for whoever watches Celery, and whether the message should go on elsewhere."""

    word: str
    goes_on: bool = False
    not_here: bool = False


@dataclass(slots=True)
class Tries:
    """How many units a place tried, and how many of them came to a result."""

    made: int = 0
    done: int = 0

    def add(self, verdict: Verdict | None) -> None:
        """Counts one more; None is a try that no longer counted."""
        self.made += 1
        self.done += isinstance(verdict, Done)

    def __str__(self) -> str:
        return f"{self.done} of {self.made} done" if self.done < self.made else f"{self.done} done"


def work_off(place: CanvasPlace) -> PlaceOutcome:
    """Does units of one stage of a job, while it is that job's turn, until none is left for this node.

    Never raises: a header whose task failed would keep the canvas's body from running.
    """
    if not _may_be_an_id(place.job_id):
        return PlaceOutcome(NO_JOB)
    began, tries = time.monotonic(), Tries()
    try:
        agent = current_agent()
        while agent.taking_work:
            if tries.made and time.monotonic() - began > SECONDS:
                return PlaceOutcome(f"{tries}, more to do", goes_on=True)
            claimed = claim(claimant_of(agent), None, place)
            if claimed is None:
                return PlaceOutcome(f"{tries}, nothing left for this node")
            tries.add(do(agent, claimed))
    except HUB_AWAY as absence:
        logger.warning("%s; a place of job %s is left to a later tick", hub_trouble(absence), place.job_id)
        return PlaceOutcome(f"{tries}, {hub_state(absence)}")
    except Exception:
        logger.exception("a place of job %s ended", place.job_id)
        return PlaceOutcome(f"{tries}, ended by an error that the log of this node tells")
    return PlaceOutcome(f"{tries}, {NOT_HERE}", not_here=True)


def _may_be_an_id(value: object) -> bool:
    """What comes in a message may be anything; without a job a place would take whatever there is."""
    return isinstance(value, int) and 0 < value < 2**63


def work_join(unit_id: int) -> str:
    """Runs a unit that waited for others, or notes that it must be sent again, where it waits still."""
    try:
        if Unit.objects.filter(pk=unit_id, state=UnitState.BLOCKED).update(unsent=True):
            return STILL_BLOCKED
    except HUB_AWAY as absence:
        logger.warning("%s; unit %s is left to a later tick", hub_trouble(absence), unit_id)
        return hub_state(absence)
    return work(unit_id)


def expect_message(unit_id: int) -> bool:
    """Notes that a canvas brings the message of a blocked unit; False where it is not blocked any more."""
    return bool(Unit.objects.filter(pk=unit_id, state=UnitState.BLOCKED).update(unsent=False))


def expect_no_message(unit_id: int) -> None:
    """Notes that none comes, because it could not be sent: whoever opens the unit sends it."""
    Unit.objects.filter(pk=unit_id, state=UnitState.BLOCKED).update(unsent=True)
