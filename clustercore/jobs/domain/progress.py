"""How far a job is: plain values that pages, the API, server-sent events and metrics all show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

FINAL_STATES = frozenset({"done", "failed", "cancelled"})
_ENOUGH_TO_GUESS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeShare:
    """What one node did of a job: units done and running, and seconds of work."""

    node: str
    served_by: str
    done: int
    running: int
    work_seconds: float
    audio_seconds: float = 0.0
    """How much sound the units done held; 0 for work that hears nothing."""
    rung: int | None = None

    @property
    def speed(self) -> float | None:
        """Seconds of sound per second of work; None before the first unit is done."""
        return self.audio_seconds / self.work_seconds if self.work_seconds > 0 and self.audio_seconds > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """One job at one moment. Units counted are those of the kind's main stage."""

    id: int
    kind: str
    title: str
    state: str
    stage: str
    priority: int
    language: str | None
    waiting: str
    error: str
    owner_id: int | None
    owner: str
    shared: bool
    created: datetime
    finished: datetime | None
    elapsed_seconds: float = field(compare=False)
    """Until now, or until it ended; time alone is no change."""
    fraction: float
    done: int
    running: int
    failed: int
    total: int
    all_queued: bool
    """Whether every unit of the main stage is known, so that `fraction` is of the whole."""
    shares: tuple[NodeShare, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def seconds_left(self) -> float | None:
        """A guess from how long it took so far; None where there is nothing to guess from."""
        if self.is_over or not self.all_queued or self.fraction < _ENOUGH_TO_GUESS:
            return None
        return self.elapsed_seconds * (1 - self.fraction) / self.fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitProgress:
    """One unit at one moment, with its latest attempt."""

    id: int
    stage: str
    ordinal: int
    state: str
    progress: float
    attempts: int
    node: str
    served_by: str
    rung: int | None
    seconds: float | None
    note: str
    audio_seconds: float | None = None
    device: str = ""
    """Where it really ran (`cpu`, `cuda`), as its engine said."""

    @property
    def speed(self) -> float | None:
        """Seconds of sound per second of work; None where either is not known."""
        return self.audio_seconds / self.seconds if self.audio_seconds and self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """One try, for the timeline; `ended` None while it runs."""

    id: int
    unit_id: int
    stage: str
    ordinal: int
    number: int
    node: str
    outcome: str
    started: datetime
    ended: datetime | None
    reason: str
    served_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """One line of a job's story; `node` empty where it is about no node."""

    id: int
    at: datetime
    name: str
    text: str
    node: str = ""
