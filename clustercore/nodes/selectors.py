"""Reading: which nodes live, and what they can do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import DurationField, ExpressionWrapper, F, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Now

from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.facts import BEAT_SLACK_SECONDS, MISSED_BEATS
from clustercore.nodes.models import Node, NodeModel


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


def usable_models(capability: str, language: str | None = None) -> QuerySet[NodeModel]:
    """Usable models on live nodes that are not drained; best rung first. `language` None asks for any."""
    nodes = live_nodes().filter(drained=False)
    models = NodeModel.objects.filter(node__in=nodes, capability=capability, usable=True)
    if language is not None:
        models = models.filter(Q(languages__contains=["*"]) | Q(languages__contains=[language]))
    return models.order_by("-rung", "node__name", "engine", "model")


def best_live_rung(capability: str, language: str | None = None) -> int | None:
    """The highest rung that any live node offers; None when nobody serves the capability and language."""
    best: int | None = usable_models(capability, language).aggregate(best=Max("rung"))["best"]
    return best


def nodes_serving(capability: str, language: str | None = None) -> QuerySet[Node]:
    """Live nodes, not drained, with at least one usable model for it."""
    return Node.objects.filter(pk__in=usable_models(capability, language).values("node"))


def live_capabilities() -> list[str]:
    """What at least one live node that is not drained can do, sorted."""
    nodes = live_nodes().filter(drained=False)
    served = NodeModel.objects.filter(node__in=nodes, usable=True).order_by()
    return sorted(served.values_list("capability", flat=True).distinct())


def inventory_of(node_id: int) -> QuerySet[NodeModel]:
    """All models of one node, usable or not, best first."""
    return NodeModel.objects.filter(node_id=node_id).order_by("capability", "-rung", "engine", "model")


@dataclass(frozen=True, slots=True)
class RankedModel:
    """A model that a node can serve, and the rung of the ladder it stands on."""

    record: ModelRecord
    rung: int


def models_on(node_id: int, capability: str) -> list[RankedModel]:
    """What one node can serve for a capability, best rung first."""
    rows = inventory_of(node_id).filter(capability=capability, usable=True)
    return [RankedModel(_record(row), row.rung) for row in rows]


def _record(row: NodeModel) -> ModelRecord:
    return ModelRecord(
        capability=row.capability,
        engine=row.engine,
        model=row.model,
        languages=tuple(row.languages),
        memory_mb=row.memory_mb,
        detects_language=row.detects_language,
        word_timestamps=row.word_timestamps,
        usable=row.usable,
        reason=row.reason,
    )


def boot_id_of(node_id: int) -> str:
    """Which start of its machine a node registered from."""
    return Node.objects.values_list("boot_id", flat=True).get(pk=node_id)


def live_slots(capability: str) -> int:
    """How many slots of working nodes could do work of a capability."""
    total = working_nodes().filter(capabilities__contains=[capability]).aggregate(total=Sum("slots"))["total"]
    return int(total or 0)
