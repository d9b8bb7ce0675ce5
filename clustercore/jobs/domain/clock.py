"""Whether the database's clock was set while we looked at it: told from a clock that nobody sets."""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST_STEP_SECONDS = 1.0
"""Less is drift, slewing or a slow answer, and no lease is so short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """Both clocks at one moment, in seconds."""

    database: float
    """Since 1970, as the database tells it."""
    elapsed: float
    """Since some start of this machine, as it tells it; suspended time counts."""
    uncertainty: float
    """How far apart the two may have been read."""
    server_started: float
    """When the database's server started, by its clock then: another value is another start."""
    steps: float
    """The sum of all steps that the ledger knows of."""


def step_between(before: ClockReading, after: ClockReading) -> float:
    """By how much the database's clock was set between two readings of one process, beyond what the ledger knows;
    negative when it was set back, 0.0 when it was not.

    What the ledger alone learned meanwhile was set before the first reading: two processes that each took it for a
    step of their own would correct each other for ever.
    """
    was_set_by = after.database - before.database - (after.elapsed - before.elapsed)
    doubt = max(SMALLEST_STEP_SECONDS, 2 * (before.uncertainty + after.uncertainty))
    unknown = was_set_by - (after.steps - before.steps)
    return unknown if min(abs(was_set_by), abs(unknown)) > doubt else 0.0


def step_in_words(seconds: float) -> str:
    """`set back by 1 h 0 min` and the like."""
    minutes, rest = divmod(round(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    size = f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{abs(seconds):.1f} s"
    return f"set {'back' if seconds < 0 else 'forward'} by {size}"
