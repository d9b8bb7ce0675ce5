"""Calls of the best model that a node has for a unit, and of the next one where that fails."""

from __future__ import annotations

from collections.abc import Callable

from clustercore.jobs.domain.kinds import NoModelServes, UnitContext
from clustercore.nodes.domain.engine import EngineFailure, JsonObject
from clustercore.nodes.selectors import RankedModel, models_on


def call_best(
    context: UnitContext, request: JsonObject, on_event: Callable[[JsonObject], None] | None = None
) -> JsonObject:
    """Returns the answer of the best model of this node that may serve the unit, and notes in `served_by` which it was.

    Raises NoModelServes, HostDied, LeaseLost.
    """
    failures: list[str] = []
    for ranked in _models(context):
        engine, model = ranked.record.engine, ranked.record.model
        try:
            answer = context.call_engine(engine, model, request, on_event)
        except EngineFailure as failure:
            failures.append(f"{engine}:{model}: {failure.message}")
            continue
        context.served_by.update(rung=ranked.rung, passed_over=failures)
        return answer
    raise NoModelServes("; ".join(failures) or f"no model for {context.capability} here is good enough for this job")


def _models(context: UnitContext) -> list[RankedModel]:
    """Those that may serve, best first: no worse than the job asks for, and of the engine that it names, if any."""
    return [
        ranked
        for ranked in models_on(context.node_id, context.capability)
        if ranked.rung >= context.minimum_rung
        and context.engine in ("", ranked.record.engine)
        and context.model in ("", ranked.record.model)
    ]
