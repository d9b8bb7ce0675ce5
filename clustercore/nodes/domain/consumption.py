"""What a node takes from the broker now, and why not more: one rule, from what it can do and what keeps it from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clustercore.nodes.domain.queues import queue_for, queue_for_node

AT_START = "starting"
WITHOUT_BROKER = f"{AT_START}: the broker (Redis) does not answer"
DRAINED = "drained by an operator"
STOPPING = "the node is stopping"
SHORTAGE_SECONDS = 15.0
"""How long a machine without disk, memory or descriptors takes nothing before it tries again."""


class HoldSource(StrEnum):
    """Who may hold a node. Each has one hold at most."""

    START = "start"
    HUB = "hub"
    OPERATOR = "operator"
    NAME = "name"
    """Another process took the node's name."""
    SHORTAGE = "shortage"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason to take nothing at all."""

    reason: str
    ends: float = math.inf
    """A time of the node's own clock; without one it stays until its source ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """What a node should take from the broker now."""

    queues: frozenset[str] = field(default_factory=frozenset)
    prefetch: int = 1
    """How many messages it may have in hand: one for each slot."""
    hold_reason: str = ""
    """Why it takes nothing; empty while it takes work."""
    idle_reason: str = ""
    """Which capabilities are paused, and why."""


def consumption(
    *, node: str, slots: int, capabilities: Iterable[str], holds: Mapping[str, Hold], paused: Mapping[str, str]
) -> Consumption:
    """Returns what the node takes: nothing under any hold, else its own queue and those of what is not paused.

    `holds` by their source, `paused` from capability to reason.
    """
    hold_reason = "; ".join(hold.reason for hold in holds.values())
    idle_reason = "; ".join(f"{capability}: {reason}" for capability, reason in sorted(paused.items()))
    queues: set[str] = set()
    if not holds:
        queues = {queue_for_node(node), *(queue_for(capability) for capability in set(capabilities) - set(paused))}
    return Consumption(queues=frozenset(queues), prefetch=slots, hold_reason=hold_reason, idle_reason=idle_reason)


def unexpired(holds: Mapping[str, Hold], now: float) -> dict[str, Hold]:
    """Returns the holds whose time is not up."""
    return {source: hold for source, hold in holds.items() if hold.ends > now}
