"""Questions that hold a unit until a person answers: what may be chosen, and what an answer is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

DO_IT_AGAIN, SKIP, FAIL = "do it again", "skip", "fail"
"""What the ledger itself does: no handler's option may be called so."""
UNKNOWN_OUTCOME = "it is not known whether this was done"
"""How the question begins that is asked of an action that must not be done twice."""
LONGEST_OPTION, LONGEST_HASH = 40, 200
LONGEST_SECONDS = 10 * 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person chose, and the hash of the arguments that they were shown."""

    option: str
    by: str
    bound_to: str
    at: datetime

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answer:
        """Reads what the claim brings."""
        return cls(str(value["option"]), str(value["by"]), str(value["bound_to"]), datetime.fromisoformat(value["at"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionLine:
    """One question as people and programs are shown it."""

    id: int
    unit_id: int
    stage: str
    ordinal: int
    text: str
    options: tuple[str, ...]
    """What may be chosen, to skip among it."""
    bound_to: str
    until: datetime | None
    default: str
    created: datetime
    state: str
    """`open`, `answered`, `expired` or `withdrawn`."""
    answer: str
    answered_by: str
    answered: datetime | None


STATES = ("open", "answered", "expired", "withdrawn")


def state_of(*, answer: str, withdrawn: datetime | None, until: datetime | None) -> str:
    """Returns which of `STATES` a question is in: it expired if it was withdrawn once its time was over."""
    if answer:
        return "answered"
    if withdrawn is None:
        return "open"
    return "expired" if until is not None and withdrawn >= until else "withdrawn"


def checked_options(options: Iterable[str]) -> tuple[str, ...]:
    """Returns a handler's options. Raises ValueError for none, for one twice, and for words that are not its own."""
    found = tuple(options)
    if not found or len(set(found)) != len(found):
        raise ValueError(f"a question needs at least one option, and each once: {found!r}")
    for option in found:
        if not 0 < len(option) <= LONGEST_OPTION or not option.isprintable() or option != option.strip():
            raise ValueError(f"an option is a short word, and not {option!r}")
        if option in (DO_IT_AGAIN, SKIP, FAIL):
            raise ValueError(f"{option!r} is what the ledger does, and no handler's option")
    return found


def choices_of(options: Sequence[str]) -> tuple[str, ...]:
    """Returns what a person may choose: the options, and always to skip."""
    return tuple(options) if SKIP in options else (*options, SKIP)
