"""The steps of a tick: what is wrong with one is told once, and keeps none of the others from its turn."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec

from clustercore.embedded.domain.database_trouble import is_busy
from clustercore.jobs.services.mishaps import HUB_AWAY
from clustercore.nodes.adapters.repeated_failures import RepeatedFailures

logger = logging.getLogger(__name__)

P = ParamSpec("P")

_FAILURES = RepeatedFailures(logger)


def survive(step: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    """Runs a step of something; what is wrong with it is logged, and the rest goes on.

    A database that is away, or busy with somebody else's work, is raised: the step was not done.
    """
    name = _name_of(step)
    try:
        step(*arguments, **named)
    except HUB_AWAY:
        raise
    except Exception as error:
        _FAILURES.tell(name, error)
    else:
        _FAILURES.over(name)


def take_step(step: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    """As `survive`, for a step that the next tick takes again: that the database is busy is told, and passes.

    The hub's absence is everybody's matter and is raised.
    """
    try:
        survive(step, *arguments, **named)
    except HUB_AWAY as error:
        if not is_busy(error):
            raise
        logger.warning("%s is tried again: the hub's database was busy (%s)", _name_of(step), error)


def _name_of(step: Callable[..., object]) -> str:
    return f"the ledger's step {getattr(step, '__name__', step)}"
