"""When a unit that waits for others is opened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Opening(StrEnum):
    """What becomes of a blocked unit now."""

    WAIT = "wait"
    RUN = "run"
    FAIL = "fail"


class InputOutcome(StrEnum):
    """What became of one input: it is open, done, or closed without being done."""

    OPEN = "open"
    DONE = "done"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Inputs:
    """How many inputs of a unit are open, and how many are done; what failed, was skipped or expired is neither."""

    open: int
    done: int


def opening(inputs: Inputs, quorum: int | None, *, is_due: bool) -> Opening:
    """Whether a unit waits on, runs with what is done, or fails because nothing is.

    It opens when enough inputs are done, when the open ones cannot make enough any more, when none is open, or at its
    time. An open input is waited for all the same while nothing is done: it can only turn a failure into a result.
    """
    if quorum is not None and inputs.done >= quorum:
        return Opening.RUN
    hopeless = quorum is not None and inputs.done + inputs.open < quorum
    if inputs.done and (hopeless or is_due or not inputs.open):
        return Opening.RUN
    return Opening.FAIL if is_due or not inputs.open else Opening.WAIT


def outcome_of_stage(*, open_units: int, done: int, broken: int, tolerance: float) -> InputOutcome:
    """What became of a stage as one input: done as far as its failures are borne, and where it has no units at all."""
    if open_units:
        return InputOutcome.OPEN
    if not done and not broken:
        return InputOutcome.DONE
    return InputOutcome.DONE if done and bears(tolerance, broken, done + broken) else InputOutcome.CLOSED


def bears(tolerance: float, broken: int, total: int) -> bool:
    """Whether so many broken units of all are borne; `tolerance` is the share that may be, 0 to 1."""
    return broken <= tolerance * total
