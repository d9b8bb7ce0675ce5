"""Which models of a node may serve a piece of work, best tier first: a pure choice over what the node really has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clustercore.nodes.domain.inventory import TieredModel
from clustercore.nodes.domain.traits import meets_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What work asks of a model of its capability."""

    needs: Sequence[str] = ()
    """Traits that it must have."""
    prefers: Sequence[str] = ()
    """Traits for which any other model here that has them is taken instead."""
    minimum_rung: int = 0
    engine: str = ""
    """The engine that a user insists on; empty: any."""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Who may serve, best first; `reason` says why nobody may, and what helps. Empty when somebody may."""

    models: tuple[TieredModel, ...]
    reason: str = ""


def select_models(
    models: Iterable[TieredModel], wanted: Wanted, *, order: Sequence[str] = (), remedy: str = ""
) -> Selection:
    """Returns the models of one node that may serve, of those that it has for a capability.

    Models that no tier names are not used. Among equals the order is by label, so that every node with the same models
    chooses the same. `order` is the capability's preference order, by which a missing tier is named; `remedy` says how
    a node gets a better model.
    """
    offered = [model for model in models if _is_asked_for(model, wanted)]
    named = sorted(
        (model for model in offered if model.record.usable and model.rung >= 0),
        key=lambda model: (-model.rung, model.label),
    )
    able = [model for model in named if meets_all(model.record.traits, wanted.needs)]
    high_enough = [model for model in able if model.rung >= wanted.minimum_rung]
    if high_enough:
        preferred = [model for model in high_enough if meets_all(model.record.traits, wanted.prefers)]
        return Selection(tuple(preferred or high_enough))
    if able:
        return Selection((), _too_low(able[0], order, wanted.minimum_rung))
    return Selection((), _why_nobody(offered, named, wanted.needs, remedy))


def _is_asked_for(model: TieredModel, wanted: Wanted) -> bool:
    return wanted.engine in ("", model.record.engine) and wanted.model in ("", model.record.model)


def _too_low(best: TieredModel, order: Sequence[str], minimum_rung: int) -> str:
    position = len(order) - 1 - minimum_rung
    named = f" ({order[position]})" if 0 <= position < len(order) else ""
    return (
        f"{best.label} stands on rung {best.rung} and the job asks for rung {minimum_rung}{named} or better; "
        "pull a better model here, wait for another node, or allow a lower rung"
    )


def _why_nobody(offered: list[TieredModel], named: list[TieredModel], needs: Sequence[str], remedy: str) -> str:
    helps = f": {remedy}" if remedy else ""
    if named:
        has = "; ".join(f"{model.label} offers {', '.join(model.record.traits) or 'nothing'}" for model in named)
        return f"{has}; the work needs {', '.join(needs)}{helps}"
    if labels := [model.label for model in offered if model.record.usable]:
        return f"no tier of the preference order names {', '.join(labels)}; add one to CLUSTERCORE_TIERS"
    reasons = [f"{model.record.engine}: {model.record.reason}" for model in offered if model.record.reason]
    return "; ".join(reasons) or f"no engine is here{helps}"
