"""The small fixed cast of nodes: a workstation with a big model, a laptop with a middling one, a Pi with the last."""

from __future__ import annotations

from uuid import UUID, uuid4

from django.db.models.functions import Now

from clustercore.jobs.domain.kinds import known_contracts
from clustercore.jobs.services.claim import Claimant
from clustercore.nodes.domain.facts import PROTOCOL
from clustercore.nodes.models import Node, NodeModel

WORKSTATION, LAPTOP, PI = "workstation", "laptop", "pi"
BOOT = {WORKSTATION: "boot-w", LAPTOP: "boot-l", PI: "boot-p"}
MODELS = {
    WORKSTATION: ("faster-whisper", "large-v3", 5, ["lang:*", "detects-language"]),
    LAPTOP: ("faster-whisper", "small", 3, ["lang:*", "detects-language"]),
    PI: ("pocketsphinx", "en-us", 0, ["lang:en"]),
}


def start_node(name: str, *, instance: UUID | None = None, slots: int = 1) -> Node:
    """Puts a member of the cast online, with its inventory."""
    engine, model, rung, traits = MODELS[name]
    instance = instance or uuid4()
    node, _ = Node.objects.update_or_create(
        name=name,
        defaults={
            "hostname": name,
            "instance": instance,
            "protocol": PROTOCOL,
            "protocol_instance": instance,
            "boot_id": BOOT[name],
            "process_id": 1,
            "operating_system": "Linux",
            "architecture": "x86_64",
            "cores": 4,
            "memory_mb": 8000,
            "version": "test",
            "slots": slots,
            "capabilities": ["any", "media", "stt"],
            "contracts": list(known_contracts()),
            "online": True,
            "hold_reason": "",
            "drained": False,
            "last_seen": Now(),
            "started": Now(),
        },
    )
    NodeModel.objects.update_or_create(
        node=node,
        capability="stt",
        engine=engine,
        model=model,
        defaults={"traits": traits, "rung": rung},
    )
    node.refresh_from_db()
    return node


def stop_node(node: Node) -> None:
    """Takes a member of the cast offline."""
    Node.objects.filter(pk=node.pk).update(online=False)


def as_claimant(node: Node, lease_seconds: float = 20.0) -> Claimant:
    """The node as it claims."""
    return Claimant(
        node_id=node.pk,
        node_name=node.name,
        instance=node.instance,
        boot_id=node.boot_id,
        capabilities=node.capabilities,
        lease_seconds=lease_seconds,
    )
