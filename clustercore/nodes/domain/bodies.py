"""Nodes as plain JSON values: what the API, live pages and `--json` of the command line say of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from clustercore.nodes.domain.node_status import NodeStatus

FIELDS = (
    *("name", "hostname", "condition", "why", "drained", "capabilities", "slots", "busy", "operating_system"),
    *("architecture", "cores", "memory_mb", "gpus", "version", "started", "last_seen", "seen_seconds_ago"),
)
_DECIMALS = 3


def node_body(node: NodeStatus) -> dict[str, Any]:
    """Returns a node in a list, as NodeSerializer describes it."""
    body = {name: getattr(node, name) for name in FIELDS}
    return {**body, "seen_seconds_ago": round(node.seen_seconds_ago, _DECIMALS)}


def node_detail_body(node: NodeStatus) -> dict[str, Any]:
    """Returns one node in full, as NodeDetailSerializer describes it."""
    work = {**asdict(node.work), "speed": node.work.speed}
    return {**node_body(node), "models": [asdict(model) for model in node.models], "work": work}
