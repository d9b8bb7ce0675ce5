"""How long the pieces of a recording should be."""

from __future__ import annotations

SHORTEST_SECONDS = 15.0
UNKNOWN_DURATION_SECONDS = 120.0
SHARES_PER_SLOT = 2


def piece_seconds(remaining: float | None, slots: int, longest: float) -> float:
    """Seconds of the next piece of a recording with `remaining` seconds to cut, when `slots` slots may work on it.

    At most `longest`; smaller where that uses more machines, and smaller towards the end, so that unequal machines
    end together (guided self-scheduling: C. Polychronopoulos, D. Kuck, IEEE Transactions on Computers C-36, 1987);
    never under 15 s, which would cost words at the cuts.
    """
    if remaining is None:
        return min(longest, UNKNOWN_DURATION_SECONDS)
    return min(longest, max(SHORTEST_SECONDS, remaining / (max(slots, 1) * SHARES_PER_SLOT)))
