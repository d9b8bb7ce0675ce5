"""A unit to be queued, and what it waits for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LOWEST_PRIORITY, HIGHEST_PRIORITY = -32_768, 32_767
HIGHEST_ORDINAL = 2_147_483_647
HIGHEST_QUORUM = 32_767
LONGEST_GROUP = 60
LONGEST_CAPABILITY = 40
LONGEST_NEED = 60
LONGEST_WAIT_SECONDS = 10 * 366 * 86_400.0


def _refuse_text(name: str, text: str, longest: int) -> None:
    if len(text) > longest or "\x00" in text:
        raise ValueError(f"a {name} is {longest} characters at most, without NUL: {text!r}")


def _refuse_wait(name: str, seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds <= LONGEST_WAIT_SECONDS:
        raise ValueError(f"{name} is more than 0 and ten years at most, not {seconds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What a unit waits for: one unit of the same job (`stage` and `ordinal`), or, without an ordinal, all of a stage.

    A stage is over when none of its units is open and none of an earlier stage, which might queue more; with a `group`,
    only units of that group and of none are looked at.
    """

    stage: str
    ordinal: int | None = None
    group: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a group that no unit can have."""
        _refuse_text("group", self.group, LONGEST_GROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """How many of its inputs a unit needs, and until when it waits for them."""

    quorum: int | None = None
    """So many done are enough; None waits until every input is closed."""
    until_seconds: float | None = None
    """After so long it runs with what is done, or fails where nothing is."""

    def __post_init__(self) -> None:
        """Raises ValueError for what no unit can wait for."""
        if self.quorum is not None and not 1 <= self.quorum <= HIGHEST_QUORUM:
            raise ValueError(f"a quorum is 1 to {HIGHEST_QUORUM}, not {self.quorum}")
        _refuse_wait("until_seconds", self.until_seconds)


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
    needs: Sequence[str] = ()
    """The traits that a model must have for it, beside what its stage says."""
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

    def __post_init__(self) -> None:
        """Raises ValueError for what the ledger cannot keep, where it is made: there its maker can be told."""
        if not LOWEST_PRIORITY <= self.priority <= HIGHEST_PRIORITY:
            raise ValueError(f"a priority is {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, not {self.priority}")
        if not 0 <= self.ordinal <= HIGHEST_ORDINAL:
            raise ValueError(f"an ordinal is 0 to {HIGHEST_ORDINAL}, not {self.ordinal}")
        _refuse_text("group", self.group, LONGEST_GROUP)
        _refuse_text("capability", self.capability, LONGEST_CAPABILITY)
        for need in self.needs:
            _refuse_text("need", need, LONGEST_NEED)
        if self.join.quorum is not None and self.join.quorum > (inputs := len(set(self.after))):
            raise ValueError(f"{self.stage} {self.ordinal} needs {self.join.quorum} inputs and has {inputs}")
        if not math.isfinite(self.weight):
            raise ValueError(f"a weight is a number, not {self.weight}")
        _refuse_wait("deadline_seconds", self.deadline_seconds)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NewUnit:
        """What `dataclasses.asdict` made of one. Raises TypeError for anything else."""
        fields = dict(value)
        after = tuple(After(**one) for one in fields.pop("after", ()))
        blobs, needs = tuple(fields.pop("blobs", ())), tuple(fields.pop("needs", ()))
        return cls(**fields | {"after": after, "blobs": blobs, "needs": needs, "join": Join(**fields.get("join", {}))})
