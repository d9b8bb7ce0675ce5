"""The line of jobs that wait for their turn: which place one has, and when it may be expected to begin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clustercore.nodes.domain.traits import meets_all

LINE_JOBS = 500
"""So many running jobs are looked at, in the order of work; whoever stands behind them is told no more than that."""
LONGEST_COUNTED = 1_000
"""A job with more units that are not done than this is counted apart."""
_COARSE_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A running job as it stands in line. Amounts are weights of its main stage's units: seconds of sound, say."""

    id: int
    has_begun: bool
    amount_left: float | None
    """None where nobody knows it yet; infinite where there is too much to count."""
    amount: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a job waits."""

    number: int
    """1 for the next one to begin; above `LINE_JOBS` for all that stand behind so many."""
    starts_in_seconds: float | None
    """An expectation, rounded so that it does not jitter; None where there is no ground for one."""


FAR_BACK = Place(number=LINE_JOBS + 1, starts_in_seconds=None)
"""The place of every job that stands behind as many as are looked at."""


def places(
    line: Sequence[QueuedJob], rates: Mapping[int, float | None], usual_amount: float | None
) -> dict[int, Place]:
    """Returns the place of every job in line that has not begun.

    `line` in the order of work; `rates` by job: how much the live nodes that can do it do in a second, None where
    nobody knows. A job of unknown amount counts as `usual_amount`.
    """
    found: dict[int, Place] = {}
    ahead: float | None = 0.0
    for job in line:
        if not job.has_begun:
            expected = _expected(ahead, rates.get(job.id))
            # Whoever has somebody before them does not start now, however little is left of that.
            soonest = _COARSE_SECONDS if found else 0.0
            found[job.id] = Place(
                number=len(found) + 1, starts_in_seconds=None if expected is None else max(soonest, expected)
            )
        left = job.amount_left if job.amount_left is not None else usual_amount
        ahead = None if ahead is None or left is None else ahead + left
    return found


def _expected(ahead: float | None, rate: float | None) -> float | None:
    if ahead is None or math.isinf(ahead) or not rate:
        return None
    return round(ahead / rate / _COARSE_SECONDS) * _COARSE_SECONDS


def usual_amount(line: Sequence[QueuedJob], finished: float | None) -> float | None:
    """Returns the mean amount of the jobs in line whose amount is known, else of those that were `finished` lately."""
    known = [job.amount for job in line if job.amount is not None]
    return sum(known) / len(known) if known else finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A model on a live node that takes work, and how much one slot of it was measured to do in a second."""

    node_id: int
    slots: int
    capability: str
    engine: str
    model: str
    traits: tuple[str, ...]
    rung: int
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a job asks of a node."""

    capability: str
    engine: str = ""
    model: str = ""
    needs: tuple[str, ...] = ()
    lowest_rung: int | None = None
    best_only: bool = False
    ranked: bool = True


def rate_for(demand: Demand, servers: Sequence[Server]) -> float | None:
    """Returns how much the nodes that may serve a demand do in a second; None where no speed of theirs is known.

    The floor is that of `WITH_FLOOR` in jobs/selectors/eligibility.py.
    """
    able = [server for server in servers if _can_serve(server, demand)]
    if not able:
        return None
    best = max(server.rung for server in able)
    floor = demand.lowest_rung
    if floor is None:
        floor = 0 if demand.engine else best - (0 if demand.best_only else 1)
    fastest: dict[int, float] = {}
    for server in able:
        # A node serves with its best model, and its models share its slots.
        if server.rate and (server.rung >= floor or not demand.ranked):
            fastest.setdefault(server.node_id, server.rate * server.slots)
    return sum(fastest.values()) or None


def _can_serve(server: Server, demand: Demand) -> bool:
    return (
        server.capability == demand.capability
        and demand.engine in ("", server.engine)
        and demand.model in ("", server.model)
        and meets_all(server.traits, demand.needs)
    )
