"""The steps of a tick: what is wrong with one is told once, and keeps none of the others from its turn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
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
    _survive(_name_of(step), partial(step, *arguments, **named))


def take_step(step: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    """As `survive`, for a step that the next tick takes again: that the database is busy is told, and passes.

    The hub's absence is everybody's matter and is raised.
    """
    _take(_name_of(step), partial(step, *arguments, **named))


def take_each(step: Callable[[int], object], ids: Iterable[int]) -> int:
    """Takes a step for each row of these ids, as `take_step` does; returns for how many it returned something true.

    One row that always fails keeps none of the others from its turn.
    """
    name = _name_of(step)
    return sum(bool(_take(f"{name} for {row_id}", partial(step, row_id))) for row_id in ids)


def _take(name: str, step: Callable[[], object]) -> object:
    try:
        return _survive(name, step)
    except HUB_AWAY as error:
        if not is_busy(error):
            raise
        logger.warning("%s is tried again: the hub's database was busy (%s)", name, error)
        return None


def _survive(name: str, step: Callable[[], object]) -> object:
    try:
        found = step()
    except HUB_AWAY:
        raise
    except Exception as error:
        _FAILURES.tell(name, error)
        return None
    _FAILURES.over(name)
    return found


def _name_of(step: Callable[..., object]) -> str:
    return f"the ledger's step {getattr(step, '__name__', step)}"
