"""A unit to be queued, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What a unit waits for: one unit of the same job (`stage` and `ordinal`), or, without an ordinal, all of a stage.

    A stage is over when none of its units is open and none of an earlier stage, which might queue more; with a `group`,
    only units of that group and of none are looked at.
    """

    stage: str
    ordinal: int | None = None
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """How many of its inputs a unit needs, and until when it waits for them."""

    quorum: int | None = None
    """So many done are enough; None waits until every input is closed."""
    until_seconds: float | None = None
    """After so long it runs with what is done, or fails where nothing is."""


ALL = Join()
ANY = Join(quorum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnit:
    """A unit to be queued. `(stage, ordinal)` is unique in a job, so queueing one twice is harmless."""

    stage: str
    ordinal: int
    payload: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    """How much of the job's progress it stands for (seconds of audio, say)."""
    capability: str = ""
    """What a node must be able to do for it; empty: what its stage says."""
    blobs: Sequence[str] = ()
    """The blobs it needs, by their SHA-256: they stay as long as the job does, and it can fetch no others."""
    after: Sequence[After] = ()
    """What must be closed before it may run; a unit that it names is there already, or stands before it in the call."""
    join: Join = ALL
    priority: int = 0
    """Within its job: higher goes first."""
    deadline_seconds: float | None = None
    """After so long it is not begun any more: it has expired."""
    group: str = ""
    """Units of one group of a stage can be waited for together."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NewUnit:
        """What `dataclasses.asdict` made of one. Raises TypeError for anything else."""
        fields = dict(value)
        after = tuple(After(**one) for one in fields.pop("after", ()))
        blobs = tuple(fields.pop("blobs", ()))
        return cls(**fields | {"after": after, "blobs": blobs, "join": Join(**fields.get("join", {}))})
