"""The states of jobs, units and attempts, and which may follow which."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """What became of what a user asked for."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class UnitState(StrEnum):
    """The life of a piece of work: `queued -> leased -> done | failed | held | cancelled | dead`."""

    QUEUED = "queued"
    LEASED = "leased"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"


class AttemptOutcome(StrEnum):
    """How one node's try ended; `live` while it has not."""

    LIVE = "live"
    DONE = "done"
    FAILED = "failed"
    RETRY = "retry"
    HELD = "held"
    EXPIRED = "expired"
    CRASHED = "crashed"
    HANDED_BACK = "handed_back"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


OPEN_UNIT_STATES = (UnitState.QUEUED, UnitState.LEASED, UnitState.HELD)
BAD_UNIT_STATES = (UnitState.FAILED, UnitState.DEAD)
FINAL_JOB_STATES = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

_UNIT_MOVES: dict[UnitState, frozenset[UnitState]] = {
    UnitState.QUEUED: frozenset({UnitState.LEASED, UnitState.HELD, UnitState.CANCELLED}),
    UnitState.LEASED: frozenset(
        {
            UnitState.QUEUED,
            UnitState.HELD,
            UnitState.DONE,
            UnitState.FAILED,
            UnitState.CANCELLED,
            UnitState.DEAD,
        }
    ),
    UnitState.HELD: frozenset({UnitState.QUEUED, UnitState.CANCELLED, UnitState.FAILED}),
    UnitState.DONE: frozenset(),
    UnitState.FAILED: frozenset({UnitState.QUEUED, UnitState.HELD}),
    UnitState.CANCELLED: frozenset({UnitState.QUEUED, UnitState.HELD}),
    UnitState.DEAD: frozenset({UnitState.QUEUED, UnitState.HELD}),
}


def may_follow(current: UnitState, following: UnitState) -> bool:
    """Whether a unit may go from `current` to `following`."""
    return following in _UNIT_MOVES[current]


def moved(current: UnitState | str, following: UnitState) -> UnitState:
    """`following`, if a unit may go there from `current`. Raises ValueError: such a move is a bug."""
    if not may_follow(UnitState(current), following):
        raise ValueError(f"a unit cannot go from {current} to {following}")
    return following
