"""Kinds of job register themselves here; the kernel names none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from clustercore.jobs.domain.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnit:
    """A unit to be queued. `(stage, ordinal)` is unique in a job, so queueing one twice is harmless."""

    stage: str
    ordinal: int
    payload: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    """How much of the job's progress it stands for (seconds of audio, say)."""
    held: str = ""
    """A reason to keep it from being claimed until it is released."""


class UnitContext(Protocol):
    """What a unit handler gets. Handlers run in a worker's slot (a thread) and may wait."""

    @property
    def job_id(self) -> int: ...
    @property
    def unit_id(self) -> int: ...
    @property
    def attempt_id(self) -> int: ...
    @property
    def ordinal(self) -> int: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...
    @property
    def parameters(self) -> Mapping[str, Any]:
        """The job's parameters, as submitted and validated."""
        ...

    @property
    def language(self) -> str | None:
        """The job's language: one code for the whole job, or None while undecided."""
        ...

    @property
    def minimum_rung(self) -> int:
        """The lowest rung that may serve this unit."""
        ...

    @property
    def workspace(self) -> Path:
        """A directory of this attempt's own, removed when it ends."""
        ...

    def report(self, fraction: float, note: str = "") -> None:
        """Says that work goes on: the lease is extended only while this is called. Raises LeaseLost."""
        ...

    def queue(self, units: Sequence[NewUnit]) -> list[int]:
        """Queues units of a later stage while this attempt is live; known ordinals are left alone. Raises LeaseLost."""
        ...

    def call_engine(
        self,
        engine: str,
        model: str,
        request: Mapping[str, Any],
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Mapping[str, Any]:
        """One request to an engine host on this node; its progress is this unit's progress.

        Raises EngineFailure (expected), HostDied (it crashed or was killed), LeaseLost.
        """
        ...


class LeaseLost(Exception):
    """This attempt no longer counts (expired, cancelled or superseded): drop the work, write nothing."""


Handler = Callable[[UnitContext], Verdict]
Recorder = Callable[[int, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a kind of job.

    A stage whose units are queued by an earlier one has `opens="producer"`; one that starts when every earlier
    unit is closed has `opens="barrier"`; the first has `opens="start"`.
    """

    name: str
    task: str
    """The Celery task that is its door, `package.verb`."""
    capability: str
    handler: Handler
    opens: str
    record: Recorder | None = None
    """Called with (unit id, result) inside the transaction that completes the unit."""
    ranked: bool = False
    """Whether the rung floor and the language apply (a stage that recognises, not one that copies)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """A kind of job: its name, its stages in order, and how its canvas is launched."""

    name: str
    stages: tuple[Stage, ...]
    launch: Callable[[int], None]
    """Starts the canvas of a job (given its id) after the submitting transaction has committed."""
    forget: Callable[[int], Sequence[str]] | None = None
    """Deletes the kind's own rows of a job; returns the hashes of blobs that nothing needs any more."""

    def stage(self, name: str) -> Stage:
        """The stage of that name. Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(f"kind {self.name!r} has no stage {name!r}; it has {[s.name for s in self.stages]}")


_KINDS: dict[str, JobKind] = {}


def register(kind: JobKind) -> None:
    """Makes a kind of job known; the same name twice is a mistake. Raises ValueError."""
    if kind.name in _KINDS:
        raise ValueError(f"a kind of job named {kind.name!r} is already registered")
    _KINDS[kind.name] = kind


def kind_named(name: str) -> JobKind:
    """The registered kind. Raises KeyError that lists what there is."""
    try:
        return _KINDS[name]
    except KeyError:
        raise KeyError(f"no kind of job named {name!r}; registered: {sorted(_KINDS)}") from None


def registered_kinds() -> tuple[JobKind, ...]:
    """All registered kinds, by name."""
    return tuple(_KINDS[name] for name in sorted(_KINDS))
