"""How a handler of a ranked stage is served: by the best model of its node that works, then by the next."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clustercore.config.environment import environment
from clustercore.jobs.domain.kinds import remedies_of
from clustercore.jobs.domain.unit_context import NoModelServes, UnitContext
from clustercore.jobs.domain.verdict import Retry
from clustercore.nodes.domain.engine import EngineFailure
from clustercore.nodes.domain.inventory import TieredModel
from clustercore.nodes.domain.selection import Selection, Wanted, select_models
from clustercore.nodes.domain.tiers import orders_with
from clustercore.nodes.selectors import models_on


@dataclass(frozen=True, slots=True)
class Served:
    """What an engine answered, which model that was, and who failed before it."""

    answer: Mapping[str, Any]
    model: TieredModel
    seconds: float
    passed_over: tuple[str, ...] = ()

    @property
    def provenance(self) -> dict[str, Any]:
        """Returns how it was served, as an attempt and a result tell it."""
        return {
            "engine": self.model.record.engine,
            "model": self.model.record.model,
            "rung": self.model.rung,
            "seconds": round(self.seconds, 3),
            "device": self.answer.get("device", ""),
            "passed_over": list(self.passed_over),
        }


def models_for(context: UnitContext, capability: str, kind: str) -> Selection:
    """Returns the models of this node that may serve a unit, by its needs, its floor and what the user insists on."""
    wanted = Wanted(
        needs=context.needs,
        prefers=context.prefers,
        minimum_rung=context.minimum_rung,
        engine=context.engine,
        model=context.model,
    )
    order = orders_with(environment().tiers).get(capability, ())
    return select_models(models_on(context.node_id, capability), wanted, order=order, remedy=remedies_of(kind).model)


def call_in_turn(context: UnitContext, models: Sequence[TieredModel], request: Mapping[str, Any]) -> Served | Retry:
    """Sends a request to the first of these models that does not fail; Retry elsewhere where all do.

    Raises RunnerDied, LeaseLost.
    """
    failures: list[str] = []
    for model in models:
        started = time.monotonic()
        try:
            answer = context.call_engine(model.record.engine, model.record.model, request)
        except EngineFailure as failure:
            failures.append(f"{model.label}: {failure.message}")
            continue
        return Served(answer, model, time.monotonic() - started, tuple(failures))
    return Retry("no rung of this node worked: " + "; ".join(failures), not_here=True)


def call_best(context: UnitContext, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the answer of the best model of this node that may serve the unit and works, and notes which it was.

    Raises NoModelServes, RunnerDied, LeaseLost.
    """
    selection = models_for(context, context.capability, context.kind)
    served = call_in_turn(context, selection.models, request) if selection.models else Retry(selection.reason)
    if isinstance(served, Retry):
        raise NoModelServes(served.why)
    context.served_by.update(rung=served.model.rung, passed_over=list(served.passed_over))
    return served.answer
