"""What follows from an attempt: failure is a value, an exception is a bug."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.questions import FAIL, LONGEST_HASH, LONGEST_SECONDS, SKIP, checked_options


@dataclass(frozen=True, slots=True)
class Done:
    """The unit's result, as JSON, the units that its transaction queues, and the files that go with it."""

    result: Mapping[str, Any] = field(default_factory=dict)
    then: Sequence[NewUnit] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    """By name, in the unit's workspace: they are stored as blobs, which stay as long as the job does."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after the backoff; `not_here` sends it to another node."""

    why: str
    not_here: bool = False
    delay_seconds: float | None = None
    """None takes the backoff of 1, 2, 4, 8 seconds."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing can be done now; `seconds` until it is looked at again, None until somebody releases it.

    `not_here`: for what this machine lacks; another one is given the first try then.
    """

    why: str
    seconds: float | None = None
    not_here: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """It will never work; `why` names the cause and the remedy, `code` is stable."""

    why: str
    code: str = "failed"


@dataclass(frozen=True, slots=True)
class Remake:
    """A blob that it needs is no longer stored: `stage` makes it again, and this unit is held until then."""

    why: str
    stage: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """The engine runner died under it: evidence for a strike."""

    why: str


@dataclass(frozen=True, slots=True)
class HandBack:
    """The node gives it back unfinished (it is stopping, or was told to); never a strike."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Its handler ended without a verdict, and may have acted: where that must not be twice, a person decides."""

    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A person chooses one of the options; until then the unit is held, and its next attempt has the answer.

    Raises ValueError for options or an end that nobody could mean.
    """

    question: str
    options: Sequence[str]
    """Short words, at least one: `approve`, `refuse`. To skip is always possible."""
    bound_to: str = ""
    """Hash of the arguments that an approval is for."""
    until: float | None = None
    """Seconds from now after which nobody is asked any more; None waits for ever."""
    default: str = FAIL
    """What the unit ends as then, `skip` or `fail`: silence approves nothing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", checked_options(self.options))
        if self.default not in (SKIP, FAIL):
            raise ValueError(f"what nobody answers ends in {SKIP!r} or {FAIL!r}, and not in {self.default!r}")
        if self.until is not None and not 0 < self.until < LONGEST_SECONDS:
            raise ValueError(f"a question is not open for {self.until!r} seconds")
        if not self.question.strip() or len(self.bound_to) > LONGEST_HASH:
            raise ValueError("a question has a text, and what it is bound to is a hash")


Verdict = Ask | Done | Retry | Hold | Fail | Remake | Crashed | HandBack | Unknown

_BY_NAME: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Ask, Done, Retry, Hold, Fail, Remake, Crashed, HandBack, Unknown)
}


def without_nul(value: Any) -> Any:
    """The value with the character that PostgreSQL cannot store left out of all its texts."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, Mapping):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nul(item) for item in value]
    return value


def to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON, for the spool on disk."""
    fields = asdict(verdict)
    if isinstance(verdict, Done):
        # Paths of a workspace mean nothing elsewhere: whoever carries a verdict carries what became of its files.
        del fields["files"]
    return {"verdict": type(verdict).__name__, **without_nul(fields)}


def from_json(value: Mapping[str, Any]) -> Verdict:
    """The verdict that `to_json` wrote. Raises ValueError for anything else."""
    fields = dict(value)
    name = str(fields.pop("verdict", ""))
    if name == "Degrade":
        # Of a version that could let lower rungs try: it is tried again all the same.
        return Retry(str(fields.get("why", "")))
    kind = _BY_NAME.get(name)
    if kind is None:
        raise ValueError(f"not a verdict: {value!r}")
    if "then" in fields:
        fields["then"] = tuple(NewUnit.from_json(new) for new in fields["then"])
    verdict: Verdict = kind(**fields)
    return verdict


def backoff_seconds(failures: int, jitter: float) -> float:
    """1, 2, 4, 8 seconds (then 8), times 1 to 1.25 as `jitter` goes from 0 to 1."""
    base = float(2 ** min(max(failures - 1, 0), 3))
    return base * (1.0 + 0.25 * jitter)
