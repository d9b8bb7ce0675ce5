"""A panel at work, for workers under test: candidates, a vote that rests on two of them, a conclusion on the votes.

What each unit computes tells which inputs it used. Each beginning and each result that is recorded leaves an event:
their numbers are in the order in which it happened, which times of transactions are not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from celery import shared_task

from clustercore.jobs.domain.kinds import Handler, JobKind, Stage
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.models import Unit, UnitAfter
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.places import work_join
from clustercore.jobs.workflows import ring_units
from tests.fakes.jobs.panel import plan
from tests.faults.puppet import seconds_a_piece

STEP_SECONDS = 0.05
BEGUN, RECORDED = "begun", "recorded"


@shared_task(name="panel.work")
def work_unit(unit_id: int) -> str:
    """The door of every stage."""
    return work_join(unit_id)


def value_of(ordinal: int, before: int) -> int:
    """What a candidate answers, when the vote before was so."""
    return 7 * before + ordinal + 1


def ask(context: UnitContext) -> Verdict:
    """Takes its time, and rests on the vote before."""
    deadline = time.monotonic() + seconds_a_piece()
    while time.monotonic() < deadline:
        context.report(0.5)
        time.sleep(STEP_SECONDS)
    before = sum(result["value"] for result in _inputs_of(context.unit_id).values())
    return Done({"value": value_of(context.ordinal, before)})


def vote(context: UnitContext) -> Verdict:
    """Adds up the answers that there are."""
    return Done(_added_up(_inputs_of(context.unit_id)))


def conclude(context: UnitContext) -> Verdict:
    """Adds up the votes."""
    votes = Unit.objects.filter(job=context.job_id, stage="vote", state="done")
    return Done(_added_up(dict(votes.values_list("ordinal", "result"))))


def _inputs_of(unit_id: int) -> dict[int, Any]:
    done = UnitAfter.objects.filter(unit=unit_id, outcome="done")
    return dict(done.values_list("after__ordinal", "after__result"))


def _added_up(inputs: Mapping[int, Any]) -> dict[str, Any]:
    return {"of": sorted(inputs), "value": sum(result["value"] for result in inputs.values())}


def telling(handler: Handler) -> Handler:
    """A handler that says that it begins."""

    def tell(context: UnitContext) -> Verdict:
        record_event(context.job_id, BEGUN, context.node_name, unit_id=context.unit_id)
        return handler(context)

    return tell


def record(unit_id: int, result: Mapping[str, Any]) -> None:
    """One event for each result that counts."""
    unit = Unit.objects.get(pk=unit_id)
    record_event(unit.job_id, RECORDED, f"{unit.stage} {unit.ordinal}: {dict(result)}", unit_id=unit_id)


def ring(_job_id: int, stage: str, unit_ids: Sequence[int]) -> None:
    """One bell a unit."""
    ring_units(PANEL.name, stage, unit_ids)


def _stage(name: str, capability: str, handler: Handler, **more: Any) -> Stage:
    door, said = work_unit.name, telling(handler)
    return Stage(name=name, task=door, capability=capability, handler=said, record=record, **more)


PANEL = JobKind(
    name="panel",
    ring=ring,
    main_stage="ask",
    stages=(
        _stage("plan", "media", plan),
        _stage("ask", "stt", ask, tolerance=1.0),
        _stage("vote", "media", vote, light=True),
        _stage("conclude", "media", conclude, opens="barrier"),
    ),
)
