"""How far a job is: plain values that pages, the API, server-sent events and metrics all show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from clustercore.jobs.domain.humanize import ended_words
from clustercore.jobs.domain.line import Place
from clustercore.nodes.domain.speed import speed_of

FINAL_STATES = frozenset({"done", "failed", "cancelled"})
WIDE_UNITS = 500
"""A job of more units than this is shown by counts and a few of its units: nothing reads or sends them all."""
WAITING, ASKING = "waiting", "asking"
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
        return speed_of(self.audio_seconds, self.work_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCounts:
    """The units of one stage of a job: how many are in each state, of those states that there are."""

    stage: str
    states: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return sum(units for _, units in self.states)

    @property
    def done(self) -> int:
        return dict(self.states).get("done", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a job of many units goes, as its last attempts tell."""

    units_per_minute: float
    weight_per_second: float


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
    asks: str = ""
    """What a person is asked before all of it can go on: the oldest question that is open."""
    question_ids: tuple[int, ...] = ()
    """The numbers of the first open questions."""
    error: str
    owner_id: int | None
    owner: str
    shared: bool
    created: datetime
    finished: datetime | None
    shortened: datetime | None = None
    """When its story, and the tries that came to nothing, were removed."""
    elapsed_seconds: float = field(compare=False)
    """Until now, or until it ended; time alone is no change."""
    fraction: float
    done: int
    running: int
    failed: int
    total: int
    gaps: int = 0
    """Units without which it was done, the last time that it was."""
    has_begun: bool = True
    """Whether any unit of it was ever taken."""
    worked_seconds: float = field(default=0.0, compare=False)
    """On the clock, while any node had a unit of it in hand."""
    audio_seconds: float = 0.0
    """How much sound was heard so far; 0 for work that hears nothing."""
    place: Place | None = None
    """Where it stands in line; None once it has begun."""
    all_queued: bool
    """Whether every unit of the main stage is known, so that `fraction` is of the whole."""
    shares: tuple[NodeShare, ...] = ()
    stages: tuple[StageCounts, ...] = ()
    """All its units by stage and state, in the order of the stages."""
    counted_stage: str = ""
    """The stage whose units people count: the main one, else that with the most units; empty where there are none."""
    pace: Pace | None = field(default=None, compare=False)
    """Of a wide job that runs; None for every other, and where nothing was done of it lately."""
    weight: float = 0.0
    """Of the units counted, all together, as far as they are queued."""
    weight_left: float = field(default=0.0, compare=False)

    @property
    def is_wide(self) -> bool:
        """Whether it has too many units to show each."""
        return sum(stage.total for stage in self.stages) > WIDE_UNITS

    @property
    def is_over(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def has_result(self) -> bool:
        """Whether there is a result: one with gaps stays while what is missing is tried again."""
        return self.state == "done" or self.gaps > 0

    @property
    def ended_with_gaps(self) -> bool:
        return self.state == "done" and self.gaps > 0

    @property
    def standing_words(self) -> str:
        """Its standing in words: `done, with 2 gaps`."""
        return ended_words(self.standing, self.gaps if self.ended_with_gaps else 0)

    @property
    def standing(self) -> str:
        """Its state as people are told it: what waits for a person is `asking`, and what has not begun, or cannot go
        on, is `waiting` and not `running`."""
        if self.state == "running" and self.asks:
            return ASKING
        is_waiting = self.state == "running" and (bool(self.waiting) or not self.has_begun)
        return WAITING if is_waiting else self.state

    @property
    def waited_seconds(self) -> float:
        """On the clock, while nothing of it was in hand: in line, or between two units."""
        return max(0.0, self.elapsed_seconds - self.worked_seconds)

    @property
    def speed(self) -> float | None:
        """Seconds of sound heard per second of work on the clock, all nodes together; None before the first unit."""
        return speed_of(self.audio_seconds, self.worked_seconds)

    @property
    def seconds_left(self) -> float | None:
        """A guess in seconds from how fast it goes, else from how long the work took so far; None without ground."""
        if self.is_over or not self.all_queued:
            return None
        if self.pace is not None:
            return self.weight_left / self.pace.weight_per_second
        if self.fraction < _ENOUGH_TO_GUESS or not self.worked_seconds:
            return None
        return self.worked_seconds * (1 - self.fraction) / self.fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """One file that a unit made."""

    name: str
    size: int
    media_type: str
    sha256: str


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
    files: tuple[FileLine, ...] = ()

    @property
    def speed(self) -> float | None:
        """Seconds of sound per second of work; None where either is not known."""
        return speed_of(self.audio_seconds, self.seconds)


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
