"""Reading: which nodes live, and what they can do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import DurationField, ExpressionWrapper, F, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Now

from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.facts import BEAT_SLACK_SECONDS, MISSED_BEATS
from clustercore.nodes.domain.inventory import TieredModel
from clustercore.nodes.domain.node_status import (
    NodeStatus,
    NodeWork,
    PullStatus,
    condition_of,
    model_status,
    work_by_node,
)
from clustercore.nodes.domain.traits import met_by
from clustercore.nodes.models import ModelPull, Node, NodeModel, PullState

COLOURS = 12
OLD_PULL = Q(state__in=(PullState.DONE, PullState.FAILED), asked__lt=Now() - timedelta(days=1))
"""What became of a model that was asked for is told for a day."""


def heard_of() -> Q:
    """Nodes that missed fewer than two beats, by the database's clock."""
    allowed = ExpressionWrapper(
        F("heartbeat_seconds") * Value(timedelta(seconds=MISSED_BEATS), output_field=DurationField()),
        output_field=DurationField(),
    )
    return Q(last_seen__gte=Now() - allowed - timedelta(seconds=BEAT_SLACK_SECONDS))


def live_nodes() -> QuerySet[Node]:
    """Nodes whose worker runs and reports, drained and held ones included."""
    return Node.objects.filter(heard_of(), online=True)


def working_nodes() -> QuerySet[Node]:
    """Live nodes that take work: neither drained nor held."""
    return live_nodes().filter(drained=False, hold_reason="")


def usable_models(capability: str, needs: Sequence[str] = ()) -> QuerySet[NodeModel]:
    """Usable models on live nodes that are not drained and that meet every need; best rung first."""
    nodes = live_nodes().filter(drained=False)
    models = NodeModel.objects.filter(node__in=nodes, capability=capability, usable=True)
    for need in needs:
        models = models.filter(traits__overlap=met_by(need))
    return models.order_by("-rung", "node__name", "engine", "model")


def best_live_rung(capability: str, needs: Sequence[str] = ()) -> int | None:
    """The highest rung that any live node offers; None when nobody serves the capability and meets the needs."""
    best: int | None = usable_models(capability, needs).aggregate(best=Max("rung"))["best"]
    return best


def nodes_serving(capability: str) -> QuerySet[Node]:
    """Live nodes, not drained, with at least one usable model for it."""
    return Node.objects.filter(pk__in=usable_models(capability).values("node"))


def live_capabilities() -> list[str]:
    """What at least one live node that is not drained can do, sorted."""
    nodes = live_nodes().filter(drained=False)
    served = NodeModel.objects.filter(node__in=nodes, usable=True).order_by()
    return sorted(served.values_list("capability", flat=True).distinct())


def inventory_of(node_id: int) -> QuerySet[NodeModel]:
    """All models of one node, usable or not, best first."""
    return NodeModel.objects.filter(node_id=node_id).order_by("capability", "-rung", "engine", "model")


def models_on(node_id: int, capability: str) -> list[TieredModel]:
    """What one node has for a capability, usable or not, best tier first."""
    return [TieredModel(_record(row), row.rung) for row in inventory_of(node_id).filter(capability=capability)]


def _record(row: NodeModel) -> ModelRecord:
    return ModelRecord(
        capability=row.capability,
        engine=row.engine,
        model=row.model,
        traits=tuple(row.traits),
        memory_mb=row.memory_mb,
        usable=row.usable,
        reason=row.reason,
    )


def live_slots(capability: str) -> int:
    """How many slots of working nodes could do work of a capability."""
    total = working_nodes().filter(capabilities__contains=[capability]).aggregate(total=Sum("slots"))["total"]
    return int(total or 0)


def node_statuses(nodes: QuerySet[Node] | None = None) -> list[NodeStatus]:
    """Those nodes (all that ever registered when None), live ones first, each with its models. A few queries."""
    chosen = Node.objects.all() if nodes is None else nodes
    rows = list(chosen.annotate(now=Now()).order_by("name"))
    live = set(live_nodes().values_list("pk", flat=True))
    models: dict[int, list[NodeModel]] = {}
    for model in NodeModel.objects.filter(node__in=[row.pk for row in rows]).order_by(
        "capability", "-rung", "engine", "model"
    ):
        models.setdefault(model.node_id, []).append(model)
    work, pulls = work_by_node(), _pulls_by_node()
    standings = [
        _standing(
            row, row.pk in live, models.get(row.pk, []), work.get(row.pk, NodeWork()), tuple(pulls.get(row.pk, ()))
        )
        for row in rows
    ]
    return sorted(standings, key=lambda node: (not node.is_live, node.name))


def _pulls_by_node() -> dict[int, list[PullStatus]]:
    pulls: dict[int, list[PullStatus]] = {}
    for pull in ModelPull.objects.exclude(OLD_PULL):
        pulls.setdefault(pull.node_id, []).append(
            PullStatus(
                label=pull.label,
                state=pull.state,
                done_bytes=pull.done_bytes,
                total_bytes=pull.total_bytes,
                message=pull.message,
            )
        )
    return pulls


def _standing(
    node: Any, is_live: bool, models: list[NodeModel], work: NodeWork, pulls: tuple[PullStatus, ...]
) -> NodeStatus:
    condition, why = condition_of(
        name=node.name,
        is_live=is_live,
        drained=node.drained,
        hold_reason=node.hold_reason,
        # Of waiting work that is not for it; while it works, that is no reason to call it idle.
        idle_reason="" if work.holdings else node.idle_reason,
    )
    tests: dict[str, Any] = (node.self_test or {}).get("models", {})
    return NodeStatus(
        id=node.pk,
        name=node.name,
        hostname=node.hostname,
        condition=condition,
        why=why,
        operating_system=node.operating_system,
        architecture=node.architecture,
        cores=node.cores,
        memory_mb=node.memory_mb,
        gpus=tuple(str(gpu.get("name", "GPU")) for gpu in node.gpus),
        version=node.version,
        slots=node.slots,
        busy=len(work.holdings),
        last_seen=node.last_seen,
        seen_seconds_ago=(node.now - node.last_seen).total_seconds(),
        started=node.started,
        drained=node.drained,
        capabilities=tuple(node.capabilities),
        models=tuple(model_status(TieredModel(_record(row), row.rung), tests) for row in models),
        work=work,
        pulls=pulls,
    )


def node_colours() -> dict[str, int]:
    """A number from 0 to 11 by node, the same on every page: by the order in which they first joined. One query."""
    names = Node.objects.order_by("pk").values_list("name", flat=True)
    return {name: number % COLOURS for number, name in enumerate(names)}
