"""A kind of job that only the ledger's tests know: plan, many parts, sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clustercore.jobs.domain.kinds import JobKind, QueuedUnit, Stage
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict

RUNG: list[tuple[str, list[int]]] = []
"""What was rung for, as (stage, unit ids)."""
RECORDED: list[int] = []
QUEUED: list[tuple[int, list[QueuedUnit]]] = []
"""What the stage of the parts was told of, as (job id, new units)."""


def remember_ring(job_id: int, stage: str, unit_ids: Sequence[int]) -> None:
    RUNG.append((stage, list(unit_ids)))


def plan(context: UnitContext) -> Verdict:
    parts = int(context.payload.get("parts", 3))
    context.queue([NewUnit(stage="part", ordinal=ordinal) for ordinal in range(parts)])
    return Done({})


def part(context: UnitContext) -> Verdict:
    context.report(0.5)
    return Done({"ordinal": context.ordinal})


def total(context: UnitContext) -> Verdict:
    return Done({"job": context.job_id})


HELD: list[str] = []
"""While it names a reason, new parts are held for it."""


def held_for(job_id: int) -> str:
    return HELD[0] if HELD else ""


def remember_record(unit_id: int, result: Mapping[str, Any]) -> None:
    if "unstorable" in result:
        raise KeyError("a field that the record needs")
    RECORDED.append(unit_id)


def remember_queued(job_id: int, queued: Sequence[QueuedUnit]) -> None:
    QUEUED.append((job_id, list(queued)))


SUMS = JobKind(
    main_stage="part",
    name="sums",
    ring=remember_ring,
    stages=(
        Stage(name="plan", task="sums.plan", capability="media", handler=plan, opens="start"),
        Stage(
            name="part",
            task="sums.part",
            capability="stt",
            handler=part,
            opens="producer",
            held=held_for,
            made_by="plan",
            record=remember_record,
            queued=remember_queued,
            self_contained=True,
            ranked=True,
        ),
        Stage(name="total", task="sums.total", capability="media", handler=total, opens="barrier", light=True),
    ),
)
