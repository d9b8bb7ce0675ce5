"""The cluster in a few figures, from how its nodes stand and what the last hour brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clustercore.jobs.domain.chart import Minute
from clustercore.nodes.domain.node_status import NodeStatus

_WORKING = frozenset({"online", "idle"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Nodes and slots now; units done and seconds of sound heard in the last hour."""

    nodes_working: int
    nodes_total: int
    slots_busy: int
    slots: int
    done_hour: int
    audio_hour: float


def figures_of(nodes: Sequence[NodeStatus], minutes: Sequence[Minute]) -> Figures:
    """A held, drained or silent node counts among all, not among those at work or ready."""
    live = [node for node in nodes if node.is_live]
    return Figures(
        nodes_working=sum(node.condition in _WORKING for node in nodes),
        nodes_total=len(nodes),
        slots_busy=sum(node.busy for node in live),
        slots=sum(node.slots for node in live),
        done_hour=sum(minute.done for minute in minutes),
        audio_hour=sum(minute.audio_seconds for minute in minutes),
    )
