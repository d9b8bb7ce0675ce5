"""A kind of job whose units do nothing, and a bare task that does the same; a worker includes this module."""

from __future__ import annotations

from collections.abc import Sequence

from celery import shared_task

from clustercore.jobs.domain.kinds import JobKind, Stage, register
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.services.places import work
from clustercore.jobs.workflows import ring_units


@shared_task(name="benchmarks.bare")
def bare(number: int) -> int:
    """Plain Celery: no ledger."""
    return number


@shared_task(name="benchmarks.unit")
def unit(unit_id: int) -> str:
    """The same nothing, with claim, lease, fence and finish."""
    return work(unit_id)


def nothing(context: UnitContext) -> Verdict:
    """A handler that has nothing to do."""
    return Done({"ordinal": context.ordinal})


def ring(_job_id: int, stage: str, unit_ids: Sequence[int]) -> None:
    """One bell a unit."""
    ring_units(EMPTY.name, stage, unit_ids)


EMPTY = JobKind(
    name="empty",
    main_stage="nothing",
    ring=ring,
    stages=(Stage(name="nothing", task=unit.name, capability="media", handler=nothing, opens="start"),),
)
register(EMPTY)
