"""What messages do: each wakes a place, a free slot, that does one unit after another; a canvas's keep to one stage."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.models import Unit
from clustercore.jobs.services.claim import CanvasPlace, Claimed, claim
from clustercore.jobs.services.mishaps import HUB_AWAY, hub_state, hub_trouble
from clustercore.jobs.services.turn import Onward
from clustercore.jobs.services.work import AttemptFailed, Tried, claimant_of, do, told
from clustercore.jobs.services.work_finder import wake
from clustercore.nodes.adapters.agent import current_agent
from clustercore.nodes.domain.hooks import Agent

logger = logging.getLogger(__name__)

SECONDS = 10.0
"""For so long a place takes further units; then its message goes back to the queue, behind what waits there."""
SECONDS_BESIDE_CANVAS = 1.0
"""So long where a canvas was sent for the job: its messages need the slot, if they are not lost."""
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


@dataclass(slots=True)
class Shift:
    """What a slot does for one message: one unit after another, in the order of work, until its time is over."""

    agent: Agent
    place: CanvasPlace | None = None
    is_own: bool = False
    """Whether the node woke itself: then a canvas that was sent may be lost."""
    began: float = field(default_factory=time.monotonic)
    tries: Tries = field(default_factory=Tries)
    last: Claimed | None = None
    is_over: bool = False
    """Whether it ended because its time was over, so that more may be left."""

    def each(self) -> Iterator[Tried]:
        """Claims and does units, and yields each once it is over. Raises HUB_AWAY where nothing can be claimed."""
        claimed = claim(claimant_of(self.agent), self.place)
        while claimed is not None:
            self.last = claimed
            tried = do(self.agent, claimed, self._onward)
            self.tries.add(tried.verdict)
            yield tried
            claimed = tried.following if tried.has_asked else self._claim()

    def _claim(self) -> Claimed | None:
        claimant = self._onward().claimant
        return claim(claimant, self.place) if claimant is not None else None

    def _onward(self) -> Onward:
        """What follows the unit in hand."""
        gives_way = self.place is None and self.last is not None and _canvas_is_coming(self.last)
        if not self.agent.taking_work or (gives_way and not self.is_own):
            return Onward()
        seconds = SECONDS_BESIDE_CANVAS if gives_way else SECONDS
        self.is_over = time.monotonic() - self.began > seconds
        return Onward() if self.is_over else Onward(claimant_of(self.agent), self.place)


def _canvas_is_coming(claimed: Claimed) -> bool:
    """Whether messages were sent that work the job's stage off and then run what waits for it."""
    if kind_named(claimed.kind).gather is None:
        return False
    return Unit.objects.filter(job=claimed.job_id, state=UnitState.BLOCKED, unsent=False).exists()


def work(unit_id: int | None) -> str:
    """Does the unit whose turn it is, and goes on while there is any for this node; says in words what it did.

    `unit_id` is that for which the message was sent; it may be another's by now. Raises AttemptFailed, only for whoever
    watches Celery: what follows from it, the ledger has decided, and another message of this node's own goes on.
    """
    agent = current_agent()
    shift = Shift(agent, is_own=IN_FLIGHT.answered(unit_id))
    if not agent.taking_work:
        return NOT_HERE
    with IN_FLIGHT.in_place():
        word = _all_of(shift)
    if shift.last is not None and shift.is_over:
        wake(agent, shift.last)
    return word


def _all_of(shift: Shift) -> str:
    words = []
    try:
        for tried in shift.each():
            words.append(_told(shift, tried))
    except HUB_AWAY as absence:
        logger.warning("%s; what waits is left to a later tick", hub_trouble(absence))
        words.append(hub_state(absence))
    if not shift.tries.made:
        return words[0] if words else "nothing to do: it is done, taken, or not for this node"
    return words[0] if len(words) == 1 else f"{words[0]}; in all {shift.tries}"


def _told(shift: Shift, tried: Tried) -> str:
    try:
        return told(tried.claimed, tried.verdict)
    except AttemptFailed as failure:
        wake(shift.agent, tried.claimed)
        if shift.tries.made == 1:
            raise
        raise AttemptFailed(f"{failure}; in all {shift.tries}") from None


def work_off(place: CanvasPlace) -> PlaceOutcome:
    """Does units of one stage of a job, while it is that job's turn, until none is left for this node.

    Never raises: a header whose task failed would keep the canvas's body from running.
    """
    if not _may_be_an_id(place.job_id):
        return PlaceOutcome(NO_JOB)
    tries = Tries()
    try:
        agent = current_agent()
        shift = Shift(agent, place, tries=tries)
        with IN_FLIGHT.in_place():
            for _ in shift.each() if agent.taking_work else ():
                pass
    except HUB_AWAY as absence:
        logger.warning("%s; a place of job %s is left to a later tick", hub_trouble(absence), place.job_id)
        return PlaceOutcome(f"{tries}, {hub_state(absence)}")
    except Exception:
        logger.exception("a place of job %s ended", place.job_id)
        return PlaceOutcome(f"{tries}, ended by an error that the log of this node tells")
    if not agent.taking_work:
        return PlaceOutcome(f"{tries}, {NOT_HERE}", not_here=True)
    if shift.is_over:
        return PlaceOutcome(f"{tries}, more to do", goes_on=True)
    return PlaceOutcome(f"{tries}, nothing left for this node")


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
