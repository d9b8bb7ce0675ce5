"""The one speed that is shown of units, jobs and nodes."""

from __future__ import annotations


def speed_of(amount: float | None, work_seconds: float | None) -> float | None:
    """Returns the amount done per second of work; None where either is not known or nothing."""
    return amount / work_seconds if amount and work_seconds else None
