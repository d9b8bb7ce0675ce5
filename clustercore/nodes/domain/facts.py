"""What a node says of itself when it registers, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from clustercore.nodes.domain.contracts import contracts_known

PROTOCOL = 2
"""Of the rules between hub and nodes: a migration after which workers of before must take nothing raises it, here and
in the trigger of `nodes_node`, and gives every row another instance."""

MOST_DEFAULT_SLOTS = 4
MISSED_BEATS = 2
BEAT_SLACK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator; memory in MB."""

    name: str
    memory_mb: int
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machine a node runs on; memory in MB."""

    hostname: str
    boot_id: str
    operating_system: str
    architecture: str
    cores: int
    memory_mb: int
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """One worker process and its machine."""

    name: str
    instance: UUID
    process_id: int
    hardware: Hardware
    version: str
    slots: int
    heartbeat_seconds: float
    contracts: tuple[str, ...] = field(default_factory=contracts_known)
    """Which work its process knows, "kind/stage/number": this process, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatAnswer:
    """What the ledger says to a heartbeat."""

    known: bool
    """False when the row is gone or belongs to another process by now."""
    drained: bool = False


def slots_for(configured: int | None, cores: int, gpus: Sequence[Any]) -> int:
    """How many units a node works on at once: as configured, else one per GPU, else half its cores, at most 4."""
    if configured:
        return configured
    return len(gpus) or max(1, min(MOST_DEFAULT_SLOTS, cores // 2))
