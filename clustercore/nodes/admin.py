"""The admin of nodes and of what they can serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from clustercore.access.admin import ReadOnlyAdmin, ReadOnlyInline, display
from clustercore.access.http.identification import identity_of
from clustercore.access.services import audit
from clustercore.nodes import services
from clustercore.nodes.models import Node, NodeModel

DEEDS: Mapping[str, Callable[[str], bool]] = {"drain": services.drain, "undrain": services.undrain}


class InventoryInline(ReadOnlyInline):
    model = NodeModel
    verbose_name_plural = "inventory"
    fields = ("capability", "engine", "model", "rung", "traits", "memory_mb", "usable", "reason")
    readonly_fields = fields


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "presence",
        "capabilities",
        "slots",
        "cores",
        "memory",
        "graphics",
        "drained",
        "why_no_work",
        "last_seen",
    )
    list_filter = ("online", "drained", "operating_system", "architecture", "version")
    search_fields = ("name", "hostname")
    inlines = (InventoryInline,)
    actions = ("drain", "undrain")

    @display(description="state", ordering="online", label={"online": "success", "offline": "danger"})
    def presence(self, node: Node) -> str:
        return "online" if node.online else "offline"

    @display(description="memory", ordering="memory_mb")
    def memory(self, node: Node) -> str:
        return filesizeformat(node.memory_mb << 20)

    @display(description="GPUs")
    def graphics(self, node: Node) -> str:
        return ", ".join(_name_of(gpu) for gpu in node.gpus)

    @display(description="why it takes no work")
    def why_no_work(self, node: Node) -> str:
        return node.hold_reason or node.idle_reason

    @admin.action(description="Drain: finish what it has, take nothing new", permissions=["operate"])
    def drain(self, request: HttpRequest, nodes: QuerySet[Node]) -> None:
        count = self._do(request, "drain", nodes)
        self.message_user(request, f"{count} drained")

    @admin.action(description="Undrain: take work again", permissions=["operate"])
    def undrain(self, request: HttpRequest, nodes: QuerySet[Node]) -> None:
        count = self._do(request, "undrain", nodes)
        self.message_user(request, f"{count} may take work again")

    def _do(self, request: HttpRequest, verb: str, nodes: QuerySet[Node]) -> int:
        with transaction.atomic():
            names = [node.name for node in nodes if DEEDS[verb](node.name)]
            for name in names:
                audit.record(identity_of(request), f"nodes.{verb}", f"node {name}")
        return len(names)


@admin.register(NodeModel)
class NodeModelAdmin(ReadOnlyAdmin):
    list_display = ("engine", "model", "node", "capability", "rung", "traits", "memory_mb", "usable", "reason")
    list_filter = ("usable", "capability", "engine", "node")
    list_select_related = ("node",)
    search_fields = ("engine", "model", "node__name")


def _name_of(gpu: Any) -> str:
    return str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu)
