"""A kind of job whose first unit queues many others, which nobody takes; a worker includes this module."""

from __future__ import annotations

import time
from collections.abc import Sequence

from celery import shared_task

from clustercore.jobs.domain.kinds import JobKind, Stage, register
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.services.places import work
from clustercore.jobs.workflows import lone_bell, ring_in_turn, ring_units

TEXT = "Some words that a unit of work takes with it. " * 4


@shared_task(name="benchmarks.spread")
def spread_one(unit_id: int) -> str:
    """The door of both stages."""
    return work(unit_id)


def spread(context: UnitContext) -> Verdict:
    """Queues `many` units in one call and `singles` in one call each, and rings for the latter; tells milliseconds."""
    many, singles = int(context.payload["many"]), int(context.payload["singles"])
    units = [NewUnit(stage="one", ordinal=n, payload={"n": n, "text": TEXT}) for n in range(many + singles)]
    began = time.perf_counter()
    context.queue(units[:many])
    queued = time.perf_counter()
    ids = [unit_id for unit in units[many:] for unit_id in context.queue([unit])]
    one_by_one = time.perf_counter()
    ring_in_turn(lone_bell(FAN_OUT.stage("one"), unit_id) for unit_id in ids)
    rung = time.perf_counter()
    return Done(
        {
            "queue_unit_ms": (queued - began) / many * 1000,
            "single_ms": (one_by_one - queued) / singles * 1000,
            "ring_unit_ms": (rung - one_by_one) / singles * 1000,
        }
    )


def unwanted(_context: UnitContext) -> Verdict:
    """A handler that is never called: no node has the capability."""
    return Done({})


def ring(_job_id: int, stage: str, unit_ids: Sequence[int]) -> None:
    """Rings for the first unit alone: what a message costs is measured apart."""
    if stage == "spread":
        ring_units(FAN_OUT.name, stage, unit_ids)


FAN_OUT = JobKind(
    name="fan-out",
    main_stage="one",
    ring=ring,
    stages=(
        Stage(name="spread", task=spread_one.name, capability="media", handler=spread, opens="start"),
        Stage(name="one", task=spread_one.name, capability="nobody", handler=unwanted, opens="producer"),
    ),
)
register(FAN_OUT)
