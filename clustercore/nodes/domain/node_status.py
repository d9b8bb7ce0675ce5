"""How a node stands at one moment: plain values that pages, the API, the command line and metrics all show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clustercore.nodes.domain.inventory import TieredModel
from clustercore.nodes.domain.speed import speed_of

OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A piece of work that a node has in hand. It names the job by its id alone: not everybody may see its title."""

    job_id: int
    unit_id: int
    stage: str
    ordinal: int
    since: datetime
    progress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWork:
    """What a node does now, and what it did in the last hour: units done, seconds of sound, seconds of work."""

    holdings: tuple[Holding, ...] = ()
    done: int = 0
    audio_seconds: float = 0.0
    work_seconds: float = 0.0

    @property
    def speed(self) -> float | None:
        """Seconds of sound per second of work; None when nothing was heard."""
        return speed_of(self.audio_seconds, self.work_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model of a node's inventory, with what its self-test said (empty: not tested)."""

    capability: str
    label: str
    rung: int
    traits: tuple[str, ...]
    memory_mb: int
    usable: bool
    reason: str = ""
    self_test: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullStatus:
    """A model that a node was asked to bring; `state` is one of asked, pulling, done, failed."""

    label: str
    state: str
    done_bytes: int
    total_bytes: int
    message: str

    @property
    def fraction(self) -> float:
        """How much of it is here, 0 to 1."""
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node as it is now; `condition` is one of online, draining, drained, held, idle, offline."""

    id: int
    name: str
    hostname: str
    condition: str
    why: str
    """Why it takes no work; empty while it does."""
    operating_system: str
    architecture: str
    cores: int
    memory_mb: int
    gpus: tuple[str, ...]
    version: str
    slots: int
    busy: int
    last_seen: datetime = field(compare=False)
    seen_seconds_ago: float = field(compare=False)
    """One more sign of life is no change."""
    started: datetime
    drained: bool
    capabilities: tuple[str, ...]
    models: tuple[ModelStatus, ...] = ()
    work: NodeWork = NodeWork()
    pulls: tuple[PullStatus, ...] = ()

    @property
    def is_live(self) -> bool:
        return self.condition != OFFLINE


def model_status(model: TieredModel, tests: Mapping[str, Any]) -> ModelStatus:
    """Returns a model as people see it; `tests` are results of self-tests by label."""
    record = model.record
    label = f"{record.engine}:{record.model}" if record.model else record.engine
    return ModelStatus(
        capability=record.capability,
        label=label,
        rung=model.rung,
        traits=tuple(record.traits),
        memory_mb=record.memory_mb,
        usable=record.usable,
        reason=record.reason,
        self_test=tests.get(label, {}),
    )


def condition_of(*, name: str, is_live: bool, drained: bool, hold_reason: str, idle_reason: str) -> tuple[str, str]:
    """A node's condition, and why it takes no work."""
    if not is_live:
        stopped = hold_reason == "stopped"
        return OFFLINE, "stopped" if stopped else "no contact; is its machine on, and can it reach the hub?"
    if drained:
        # The node itself says so once it has heard of it, with its next beat.
        heard = "drained" in hold_reason
        return "drained" if heard else "draining", f"`clustercore nodes undrain {name}` lets it work again"
    if hold_reason:
        return "held", hold_reason
    if idle_reason:
        return "idle", idle_reason
    return "online", ""


WorkByNode = Mapping[int, NodeWork]

_WORK: list[Callable[[], WorkByNode]] = []


def use_work(work: Callable[[], WorkByNode]) -> None:
    """The room above that knows what nodes do says so once, from its AppConfig.ready; by node id, in a few queries."""
    _WORK[:] = [work]


def work_by_node() -> WorkByNode:
    """What every node does now; a node that does nothing may be missing."""
    return _WORK[0]() if _WORK else {}
