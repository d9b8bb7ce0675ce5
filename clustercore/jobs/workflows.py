"""How bells are rung.

units queued ─► their stage's task, on cap.<capability> ─► free slots of any able node, which go on by themselves
unit waits  ──► its stage's task, on node.<name>      ──► a free slot of the node that noticed it
a stage gets no more units, and one waits for it ──► chord( one message a place ) ──► that unit's own task
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from celery import Task, chord, shared_task, signature
from celery.canvas import Signature
from celery.exceptions import Reject
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError

from clustercore.access.domain.roles import Permission
from clustercore.blobs.domain.forms import take_files_at
from clustercore.jobs.domain.kinds import JobKind, Stage, kind_named, outline, register
from clustercore.jobs.selectors.node_load import free_places
from clustercore.jobs.services.available import Waiting
from clustercore.jobs.services.claim import CanvasPlace
from clustercore.jobs.services.mishaps import HUB_AWAY
from clustercore.jobs.services.places import expect_message, expect_no_message, work, work_join, work_off
from clustercore.jobs.services.work import AttemptFailed
from clustercore.nodes.domain.queues import names_capability, queue_for, queue_for_node

logger = logging.getLogger(__name__)

ELSEWHERE_SECONDS = 1.0
"""Before a message comes back that a node could not serve: it may be the only one that listens."""
MOST_RETRIES = 10_000
"""One that came back so often ends; some hours of a node that listens and takes nothing."""

MESSAGES_PER_PLACE = 2
"""One may come to a node that cannot serve it."""

BROKER_AWAY = (BrokerAway, RedisError, OSError, RuntimeError)
"""How the broker's absence shows: a chord speaks to Redis itself, and Celery's result store ends its own tries with
a RuntimeError."""


class NotServed(Exception):
    """Why a message was sent back to its queue, for whoever watches Celery."""


def open_kind(kind: JobKind) -> None:
    """Makes a kind known to this process, with a task for each of its stages; called when its room is ready.

    Raises ValueError for a kind that is known already.
    """
    if settings.ONLY_READS:
        outline(kind.outline)
        return
    register(kind)
    for stage in kind.stages:
        door(stage)
    if kind.takes_file and kind.parameters is not None:
        take_files_at(address_of(kind.name), Permission.SUBMIT)


def address_of(kind: str) -> str:
    """Returns where a job of a kind is asked for over HTTP."""
    return f"/api/v1/kinds/{kind}/jobs"


def door(stage: Stage) -> Task[Any, Any]:
    """Makes the Celery task of a stage, so that Flower and the logs show what is being done by its name."""
    does = work_join if stage.opens == "barrier" else work

    def run(unit_id: int) -> str:
        return does(unit_id)

    run.__name__, run.__qualname__, run.__doc__ = stage.name, stage.name, stage.handler.__doc__
    run.__module__ = stage.handler.__module__
    made: Task[Any, Any] = shared_task(name=stage.task, throws=(AttemptFailed,))(run)
    return made


def bell(stage: Stage, unit_id: int, queue: str | None = None) -> Signature:
    """The message for one unit: its stage's door, on its capability's queue unless another is named."""
    return signature(stage.task, args=[unit_id], immutable=True, queue=queue or queue_for(stage.capability))


def lone_bell(stage: Stage, unit_id: int, queue: str | None = None) -> Signature:
    """A bell outside a chord. Nobody reads its result, so Celery need not wait for a result store that is away."""
    message = bell(stage, unit_id, queue)
    message.options["ignore_result"] = True
    return message


def canvas_of_join(header: Signature, places: int, body: Signature) -> chord:
    """A chord of so many places that work a stage off, and the message of the unit that waits for it."""
    return chord([header.clone() for _ in range(places)], body)


def send_join(canvas: chord, unit_id: int) -> None:
    """Sends the canvas that runs a blocked unit; where it cannot be sent, whoever opens the unit sends its message.

    The ledger is told first: a body that is quicker finds the unit as it is.
    """
    if expect_message(unit_id) and ring(canvas):
        expect_no_message(unit_id)


def take_place(task: Task[Any, Any], place: CanvasPlace, queue: str) -> str:
    """One turn of a place of a canvas: what it did, in a word. Raises Retry where it goes on, and nothing else.

    Where it cannot go on it ends as one that has nothing left to do: a header that failed would keep the body from
    running, and what it leaves is found by whoever looks for work.
    """
    outcome = work_off(place)
    if not (outcome.goes_on or outcome.not_here):
        return outcome.word
    if task.request.retries >= MOST_RETRIES or not names_capability(queue):
        return f"{outcome.word}: given up"
    try:
        retry_elsewhere(task, queue, outcome.word, seconds=0.0 if outcome.goes_on else ELSEWHERE_SECONDS)
    except Reject as unsent:
        logger.warning("a place of job %s ends where it should have gone on: %s", place.job_id, unsent)
        return f"{outcome.word}: the broker is away"


def retry_elsewhere(task: Task[Any, Any], queue: str, because: str, seconds: float = 0.0) -> NoReturn:
    """Sends a message that this node cannot serve now back to a queue, as the same task in the same group.

    Raises Celery's Retry; Reject where it cannot be sent.
    """
    raise task.retry(queue=queue, countdown=seconds, exc=NotServed(because), max_retries=MOST_RETRIES)


def ring(canvas: Signature) -> str:
    """Sends a canvas, and says why it could not; empty if it could.

    While the broker is away nothing is lost: idle nodes wake themselves for what waits in the ledger.
    """
    try:
        canvas.apply_async(retry=False)
    except BROKER_AWAY as absence:
        _tell_once(_in_words(absence))
        return _in_words(absence)
    _tell_once("")
    return ""


def _in_words(absence: Exception) -> str:
    """The broker's own words, without those in which its client says which command they answer."""
    return str(absence).rpartition("caused error: ")[2] or type(absence).__name__


_TOLD = [""]


def _tell_once(absence: str) -> None:
    """A broker that stays away fills no log."""
    if absence and absence != _TOLD[0]:
        logger.warning("the broker is away (%s): the ledger keeps the work", absence)
    _TOLD[0] = absence


def ring_in_turn(bells: Iterable[Signature]) -> str:
    """Rings several; the first that cannot be sent is the last that is tried, and why is returned."""
    return next((absence for waiting in bells if (absence := ring(waiting))), "")


def ring_units(kind_name: str, stage_name: str, unit_ids: Sequence[int]) -> None:
    """Wakes slots for units of a stage."""
    stage = kind_named(kind_name).stage(stage_name)
    ring_in_turn(lone_bell(stage, unit_id) for unit_id in worth_a_message(unit_ids, stage.capability))


def worth_a_message(unit_ids: Sequence[int], capability: str) -> Sequence[int]:
    """Returns the first of the units: a message each wakes the slots that are free for the capability, twice over.

    A slot goes on by itself, and idle nodes look for what no message told them of: further ones would find nothing.
    """
    if len(unit_ids) < 2:
        return unit_ids
    try:
        return unit_ids[: max(1, MESSAGES_PER_PLACE * free_places(capability))]
    except HUB_AWAY:
        return unit_ids[:1]


def wake_up(node_name: str, waiting: Sequence[Waiting]) -> str:
    """A node rings its own queue for what its free slots could take; why it could not, or nothing."""
    queue = queue_for_node(node_name)
    return ring_in_turn(lone_bell(kind_named(unit.kind).stage(unit.stage), unit.unit_id, queue) for unit in waiting)
