"""A node's agent as the ledger's services see it: who it is, and what it keeps on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from clustercore.nodes.adapters.spool import DirectorySpools
from clustercore.nodes.models import Node


@dataclass
class FakeAgent:
    """Does not beat; its spools are real."""

    node_id: int
    name: str
    instance: UUID
    boot_id: str
    spools: DirectorySpools
    capabilities: Sequence[str] = ()
    taking_work: bool = True
    short_of: list[str] = field(default_factory=list)

    def hold_while_short(self, short: str) -> None:
        """Remembers what the machine lacks."""
        self.short_of.append(short)


def agent_of(node: Node, directory: Path) -> FakeAgent:
    """The agent of a member of the cast, with its spools below the directory."""
    spools = DirectorySpools(directory)
    return FakeAgent(node.pk, node.name, node.instance, node.boot_id, spools, node.capabilities)
