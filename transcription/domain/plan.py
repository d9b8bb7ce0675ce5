"""How long the pieces of a recording should be."""

from __future__ import annotations

PIECES_PER_SLOT = 4
"""Enough that the last pieces end together on unequal machines, few enough that words at the cuts stay rare."""
SHORTEST_SECONDS = 15.0
UNKNOWN_DURATION_SECONDS = 120.0


def piece_seconds(duration: float | None, slots: int, longest: float) -> float:
    """Seconds of the pieces of a recording of `duration` seconds when `slots` slots may work on it.

    At most `longest`; smaller where that uses more machines, but not under 15 s.
    """
    if duration is None:
        return min(longest, UNKNOWN_DURATION_SECONDS)
    return min(longest, max(SHORTEST_SECONDS, duration / (max(slots, 1) * PIECES_PER_SLOT)))
