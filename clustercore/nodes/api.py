"""Nodes: what each machine is, can do and holds, why it takes no work, and draining."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.domain.roles import Permission
from clustercore.access.http.refusals import RequestRefused
from clustercore.access.services import audit
from clustercore.nodes.domain.bodies import node_body, node_detail_body
from clustercore.nodes.models import Node
from clustercore.nodes.selectors import node_statuses
from clustercore.nodes.services import drain, forget, undrain

CONDITIONS = ("online", "idle", "held", "draining", "drained", "offline")


class NodeModelSerializer(serializers.Serializer[Any]):
    capability = serializers.CharField()
    label = serializers.CharField(help_text="`engine:model`.")  # type: ignore[assignment]
    rung = serializers.IntegerField(help_text="Its tier; higher is better.")
    traits = serializers.ListField(child=serializers.CharField(), help_text="What it can do; `PREFIX:*` is all such.")
    memory_mb = serializers.IntegerField()
    usable = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it is not usable; else empty.")
    self_test = serializers.DictField(
        help_text="What its test on the bundled clip gave: `passed`, `note`, `device`, `seconds`, `real_time_factor`. "
        "Empty: not tested yet."
    )


class NodeHoldingSerializer(serializers.Serializer[Any]):
    job_id = serializers.IntegerField()
    unit_id = serializers.IntegerField()
    stage = serializers.CharField()
    ordinal = serializers.IntegerField()
    since = serializers.DateTimeField()
    progress = serializers.FloatField(help_text="0 to 1.")


class NodeWorkSerializer(serializers.Serializer[Any]):
    holdings = NodeHoldingSerializer(many=True, help_text="What it has in hand now.")
    done = serializers.IntegerField(help_text="Units in the last hour.")
    audio_seconds = serializers.FloatField(help_text="Sound heard in the last hour.")
    work_seconds = serializers.FloatField(help_text="Time spent on it.")
    speed = serializers.FloatField(allow_null=True, help_text="Seconds of sound per second of work.")


class NodeSerializer(serializers.Serializer[Any]):
    """A node in a list."""

    name = serializers.CharField()
    hostname = serializers.CharField()
    condition = serializers.ChoiceField(choices=CONDITIONS)
    why = serializers.CharField(help_text="Why it takes no work, and the remedy; empty while it does.")
    drained = serializers.BooleanField()
    capabilities = serializers.ListField(child=serializers.CharField())
    slots = serializers.IntegerField()
    busy = serializers.IntegerField(help_text="How many units it holds.")
    operating_system = serializers.CharField()
    architecture = serializers.CharField()
    cores = serializers.IntegerField()
    memory_mb = serializers.IntegerField()
    gpus = serializers.ListField(child=serializers.CharField())
    version = serializers.CharField()
    started = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    seen_seconds_ago = serializers.FloatField()


class NodeDetailSerializer(NodeSerializer):
    """One node in full."""

    models = NodeModelSerializer(many=True)
    work = NodeWorkSerializer()


class NodeListSerializer(serializers.Serializer[Any]):
    results = NodeSerializer(many=True)


_NODE = {
    "name": "workstation",
    "hostname": "workstation.lan",
    "condition": "online",
    "why": "",
    "drained": False,
    "capabilities": ["media", "stt"],
    "slots": 1,
    "busy": 1,
    "operating_system": "Linux 6.12",
    "architecture": "x86_64",
    "cores": 16,
    "memory_mb": 64000,
    "gpus": ["NVIDIA GeForce RTX 4070"],
    "version": "0.1.0",
    "started": "2026-11-21T08:00:00Z",
    "last_seen": "2026-11-21T12:00:00Z",
    "seen_seconds_ago": 2.1,
}
_LIST_EXAMPLE = OpenApiExample("one machine", value={"results": [_NODE]}, response_only=True)


def _detail_of(name: str) -> dict[str, Any]:
    """Raises RequestRefused (404)."""
    found = node_statuses(Node.objects.filter(name=name))
    if not found:
        raise _no_node(name)
    return node_detail_body(found[0])


def _no_node(name: str) -> RequestRefused:
    return RequestRefused(404, f"there is no node {name[:120]!r}: GET /api/v1/nodes lists them", code="not_found")


class NodeList(APIView):
    """The machines."""

    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        operation_id="nodes_list",
        tags=["nodes"],
        summary="Every node that ever joined",
        responses=NodeListSerializer,
        examples=[_LIST_EXAMPLE],
    )
    def get(self, _request: Request) -> Response:
        """Live ones first."""
        return Response({"results": [node_body(node) for node in node_statuses()]})


class NodeDetail(APIView):
    """One machine."""

    permissions = {"GET": Permission.VIEW, "DELETE": Permission.NODES}

    @extend_schema(operation_id="nodes_read", tags=["nodes"], summary="One node", responses=NodeDetailSerializer)
    def get(self, _request: Request, name: str) -> Response:
        """Its hardware, its models with their self-tests, what it holds now, and why it takes no work."""
        return Response(_detail_of(name))

    @extend_schema(
        operation_id="nodes_forget",
        tags=["nodes"],
        summary="Forget a node that is offline",
        responses={204: None, 409: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        """It leaves the lists; what it did stays told with its jobs. Should it come back, it joins anew."""
        with transaction.atomic():
            if not forget(name):
                raise _no_node(name)
            audit.record(requester(request), "nodes.forget", f"node {name}")
        return Response(status=204)


class NodeDrain(APIView):
    """Takes a machine out of service in order."""

    permissions = {"POST": Permission.NODES}

    @extend_schema(
        operation_id="nodes_drain",
        tags=["nodes"],
        summary="Let a node finish what it has and take nothing new",
        request=None,
        responses=NodeDetailSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Answers with the node as it is then."""
        with transaction.atomic():
            if not drain(name):
                raise _no_node(name)
            audit.record(requester(request), "nodes.drain", f"node {name}")
        return Response(_detail_of(name))


class NodeUndrain(APIView):
    """Puts a machine back into service."""

    permissions = {"POST": Permission.NODES}

    @extend_schema(
        operation_id="nodes_undrain",
        tags=["nodes"],
        summary="Let a drained node work again",
        request=None,
        responses=NodeDetailSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Answers with the node as it is then."""
        with transaction.atomic():
            if not undrain(name):
                raise _no_node(name)
            audit.record(requester(request), "nodes.undrain", f"node {name}")
        return Response(_detail_of(name))
