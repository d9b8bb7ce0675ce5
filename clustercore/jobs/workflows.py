"""How bells are rung.

unit queued ──► its stage's task, on cap.<capability> ──► any able node
unit waits  ──► its stage's task, on node.<name>      ──► the idle node that noticed it
wave queued ──► chord( its units' tasks ) ──► jobs.advance
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from celery import chord, signature
from celery.canvas import Signature
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError

from clustercore.jobs import tasks
from clustercore.jobs.domain.kinds import Stage, kind_named
from clustercore.jobs.selectors.eligibility import Waiting
from clustercore.nodes.domain.queues import queue_for, queue_for_node

logger = logging.getLogger(__name__)

MEDIA = "media"

BROKER_AWAY = (BrokerAway, RedisError, OSError, RuntimeError)
"""How the broker's absence shows: a chord speaks to Redis itself, and Celery's result store ends its own tries with
a RuntimeError."""


def bell(stage: Stage, unit_id: int, queue: str | None = None) -> Signature:
    """The message for one unit: its stage's door, on its capability's queue unless another is named."""
    return signature(stage.task, args=[unit_id], immutable=True, queue=queue or queue_for(stage.capability))


def lone_bell(stage: Stage, unit_id: int, queue: str | None = None) -> Signature:
    """A bell outside a chord. Nobody reads its result, so Celery need not wait for a result store that is away."""
    message = bell(stage, unit_id, queue)
    message.options["ignore_result"] = True
    return message


def wave(stage: Stage, job_id: int, unit_ids: Sequence[int], queue: str | None = None) -> chord:
    """A chord over units queued together; its body only hurries the job, so losing it loses nothing."""
    body = tasks.advance.si(job_id).set(queue=queue_for(MEDIA))
    return chord([bell(stage, unit_id, queue) for unit_id in unit_ids], body)


def ring(canvas: Signature) -> str:
    """Sends a canvas, and says why it could not; empty if it could.

    While the broker is away nothing is lost: idle nodes knock for what waits in the ledger.
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
    """One bell for each unit."""
    stage = kind_named(kind_name).stage(stage_name)
    ring_in_turn(lone_bell(stage, unit_id) for unit_id in unit_ids)


def knock(node_name: str, waiting: Sequence[Waiting]) -> str:
    """An idle node rings its own queue for what it could take; why it could not, or nothing."""
    queue = queue_for_node(node_name)
    return ring_in_turn(lone_bell(kind_named(unit.kind).stage(unit.stage), unit.unit_id, queue) for unit in waiting)
