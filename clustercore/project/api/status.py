"""How the cluster is, for people and their scripts: what is wrong, in words."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import Any

from asgiref.sync import async_to_sync
from django.db import DatabaseError
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore import __version__
from clustercore.access.api import requester
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.refusals import RequestRefused
from clustercore.config.environment import environment
from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.selectors.queueing import jobs_by_state, queue_now
from clustercore.jobs.selectors.visibility import visible_counts
from clustercore.nodes.models import Node
from clustercore.nodes.selectors import live_nodes, working_nodes
from clustercore.project import health


class CheckSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    reason = serializers.CharField(help_text="What is wrong and what to do; empty where all is well.")


class NodeCountsSerializer(serializers.Serializer[Any]):
    online = serializers.IntegerField()
    working = serializers.IntegerField(help_text="Online, and neither drained nor held.")
    known = serializers.IntegerField()


class QueueSerializer(serializers.Serializer[Any]):
    queued = serializers.IntegerField()
    leased = serializers.IntegerField()
    held = serializers.IntegerField()
    oldest_waiting_seconds = serializers.FloatField(
        allow_null=True, help_text="Null when nothing that could run is waiting."
    )


class StatusSerializer(serializers.Serializer[Any]):
    version = serializers.CharField()
    ready = serializers.BooleanField(help_text="Whether the hub can take and give work.")
    checks = serializers.DictField(child=CheckSerializer(), help_text="`database`, `broker`, `migrations`, `disk`.")
    free_disk_gb = serializers.FloatField(help_text="In the data directory.")
    nodes = NodeCountsSerializer()
    queue = QueueSerializer(help_text="Units of the whole cluster.")
    jobs = serializers.DictField(
        child=serializers.IntegerField(),
        help_text=f"Jobs that one may see, by state: {', '.join(state.value for state in JobState)}.",
    )
    reasons = serializers.ListField(
        child=serializers.CharField(), help_text="What is wrong or waits, in words; empty when all is well."
    )


_EXAMPLE = OpenApiExample(
    "no machine is on",
    value={
        "version": "0.1.0",
        "ready": True,
        "checks": {name: {"ok": True, "reason": ""} for name in ("database", "broker", "migrations", "disk")},
        "free_disk_gb": 412.5,
        "nodes": {"online": 0, "working": 0, "known": 3},
        "queue": {"queued": 12, "leased": 0, "held": 0, "oldest_waiting_seconds": 310.2},
        "jobs": {"running": 1, "paused": 0, "done": 40, "failed": 2, "cancelled": 0},
        "reasons": ["no node is online, and 12 queued wait for one: start one with `clustercore node`"],
    },
    response_only=True,
)


def status_body(identity: Identity) -> dict[str, Any]:
    """As StatusSerializer describes it. Raises DatabaseError."""
    checked = async_to_sync(health.readiness)(health.CHECKS)
    queue = queue_now()
    nodes = {
        "online": live_nodes().count(),
        "working": working_nodes().count(),
        "known": Node.objects.count(),
    }
    return {
        "version": __version__,
        "ready": not any(checked.values()),
        "checks": {name: {"ok": not reason, "reason": reason} for name, reason in checked.items()},
        "free_disk_gb": round(_free_bytes() / 1e9, 2),
        "nodes": nodes,
        "queue": asdict(queue),
        "jobs": jobs_by_state(visible_counts(identity)),
        "reasons": [
            *(f"{name}: {reason}" for name, reason in checked.items() if reason),
            *_about_nodes(nodes, waiting=queue.queued),
        ],
    }


def _free_bytes() -> int:
    directory = environment().data_dir
    return shutil.disk_usage(directory if directory.exists() else directory.parent).free


def _about_nodes(nodes: dict[str, int], *, waiting: int) -> list[str]:
    if nodes["working"]:
        return []
    if nodes["online"]:
        return ["no node takes work: all that are online are drained or held; GET /api/v1/nodes says why"]
    queued = f", and {waiting} queued wait for one" if waiting else ""
    return [f"no node is online{queued}: start one with `clustercore node`"]


class Status(APIView):
    """The cluster at a glance."""

    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        operation_id="status_read",
        tags=["status"],
        summary="How the cluster is",
        responses=StatusSerializer,
        examples=[_EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        """Always 200 while the ledger answers; `/readyz` is the one for load balancers."""
        try:
            return Response(status_body(requester(request)))
        except DatabaseError as error:
            raise RequestRefused(
                503, f"the ledger does not answer: {error}", code="ledger_away", retry_after=5
            ) from error
