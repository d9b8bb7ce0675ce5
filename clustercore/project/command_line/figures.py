"""What the screens show, as plain values: no database, no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clustercore.jobs.domain.line import Place
from clustercore.jobs.domain.words import ended_words, place_words, took_words
from clustercore.nodes.domain.speed import speed_of
from clustercore.nodes.domain.standing import ModelStanding

PIECES_STAGE = "transcribe"
FINAL_STATES = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeShare:
    """What one rung on one node did of a job. `audio_seconds` of sound took it `work_seconds`."""

    node: str
    served_by: str
    rung: int | None
    pieces: int
    audio_seconds: float
    work_seconds: float
    running: int = 0

    @property
    def speed(self) -> float | None:
        """Seconds of sound per second of work; None before the first piece."""
        return speed_of(self.audio_seconds, self.work_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFigures:
    """A job as it is now; `done`, `running`, `failed` and `total` count its pieces."""

    id: int
    title: str
    state: str
    stage: str
    priority: int = 0
    language: str | None = None
    waiting: str = ""
    error: str = ""
    created: datetime | None = None
    finished: datetime | None = None
    elapsed: float = 0.0
    standing: str = ""
    """`waiting` for a running job of which nothing has begun, or that cannot go on; else its state."""
    place: int | None = None
    starts_in_seconds: float | None = None
    waited_seconds: float = 0.0
    worked_seconds: float = 0.0
    speed: float | None = None
    """Seconds of sound heard per second worked, all nodes together."""
    seconds_left: float | None = None
    """A guess; None where there is nothing to guess from."""
    audio_seconds: float | None = None
    done: int = 0
    running: int = 0
    failed: int = 0
    total: int = 0
    gaps: int = 0
    """Pieces without which it was done, the last time that it was."""
    fraction: float = 0.0
    cut: bool = False
    shares: tuple[NodeShare, ...] = ()
    notes: tuple[str, ...] = ()
    """What was odd about the recording, such as damage or a missing end."""

    @property
    def is_over(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def standing_words(self) -> str:
        """Its standing in words: `done, with 2 gaps`."""
        return ended_words(self.standing or self.state, self.gaps if self.state == "done" else 0)

    @property
    def in_line(self) -> str:
        """Its place and when it may begin, in words; empty once it has begun."""
        if self.place is None:
            return ""
        return place_words(Place(number=self.place, starts_in_seconds=self.starts_in_seconds))

    @property
    def took(self) -> str:
        """How long it waited and was worked on, in words."""
        return took_words(self.waited_seconds, self.worked_seconds, self.speed)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFigures:
    """A piece of work, its last attempt and why it does not go on."""

    id: int
    stage: str
    ordinal: int
    state: str
    attempts: int
    node: str = ""
    served_by: str = ""
    rung: int | None = None
    seconds: float | None = None
    speed: float | None = None
    start: float | None = None
    end: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFigures:
    """One line of a job's story."""

    at: datetime
    name: str
    text: str
    node: str = ""


ModelFigures = ModelStanding
"""One model of a node's inventory, with what its self-test said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFigures:
    """A node as it is now; `condition` is one of online, draining, drained, held, idle,
    offline."""

    name: str
    hostname: str
    condition: str
    why: str
    operating_system: str
    architecture: str
    cores: int
    memory_mb: int
    gpus: tuple[str, ...]
    version: str
    slots: int
    busy: int
    seen_seconds_ago: float
    models: tuple[ModelFigures, ...] = ()
