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
    """The life of a piece of work: `blocked -> queued -> leased -> done | failed | held | cancelled | dead`.

    What waits for other units is blocked; a person may skip what is held; what was not begun by its deadline is
    overdue.
    """

    BLOCKED = "blocked"
    QUEUED = "queued"
    LEASED = "leased"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"
    SKIPPED = "skipped"
    OVERDUE = "overdue"


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
    UNKNOWN = "unknown"
    """Of a unit that must not be done twice: it ended without its handler's verdict."""


OPEN_UNIT_STATES = (UnitState.BLOCKED, UnitState.QUEUED, UnitState.LEASED, UnitState.HELD)
BACKLOG_UNIT_STATES = (UnitState.QUEUED, UnitState.LEASED, UnitState.HELD)
"""What nodes have, or will have, to do; a blocked unit costs nobody anything yet."""
WITHOUT_VERDICT = (AttemptOutcome.UNKNOWN, AttemptOutcome.CANCELLED)
"""After such an attempt nobody knows whether its unit was done."""
BAD_UNIT_STATES = (UnitState.FAILED, UnitState.DEAD)
BROKEN_UNIT_STATES = (UnitState.FAILED, UnitState.DEAD, UnitState.CANCELLED, UnitState.OVERDUE)
"""What ended without a result, and can be queued again."""
FINAL_JOB_STATES = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

_AGAIN = frozenset({UnitState.QUEUED, UnitState.HELD, UnitState.BLOCKED})
_UNIT_MOVES: dict[UnitState, frozenset[UnitState]] = {
    UnitState.BLOCKED: frozenset(
        {
            UnitState.QUEUED,
            UnitState.HELD,
            UnitState.CANCELLED,
            UnitState.FAILED,
            UnitState.OVERDUE,
        }
    ),
    UnitState.QUEUED: frozenset({UnitState.LEASED, UnitState.HELD, UnitState.CANCELLED, UnitState.OVERDUE}),
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
    UnitState.HELD: frozenset(
        {
            UnitState.QUEUED,
            UnitState.CANCELLED,
            UnitState.FAILED,
            UnitState.SKIPPED,
            UnitState.OVERDUE,
        }
    ),
    UnitState.DONE: frozenset(),
    UnitState.FAILED: _AGAIN,
    UnitState.CANCELLED: _AGAIN,
    UnitState.DEAD: _AGAIN,
    UnitState.SKIPPED: frozenset(),
    UnitState.OVERDUE: _AGAIN,
}


def may_follow(current: UnitState, following: UnitState) -> bool:
    """Whether a unit may go from `current` to `following`."""
    return following in _UNIT_MOVES[current]


def moved(current: UnitState | str, following: UnitState) -> UnitState:
    """`following`, if a unit may go there from `current`. Raises ValueError: such a move is a bug."""
    if not may_follow(UnitState(current), following):
        raise ValueError(f"a unit cannot go from {current} to {following}")
    return following
