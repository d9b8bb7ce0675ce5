"""How long the pieces of a recording should be."""

from __future__ import annotations

HEARING_SECONDS = 30.0
"""Whisper hears windows of 30 s: a piece just over a multiple pays for a window that it does not use."""
UNKNOWN_DURATION_SECONDS = 120.0
SHARES_PER_SLOT = 2


def piece_seconds(remaining: float | None, slots: int, longest: float, window: float, begun: float) -> float:
    """Seconds of the next piece of a recording with `remaining` seconds to cut, when `slots` slots may work on it.

    At most `longest`; smaller where that uses more machines, and smaller towards the end, so that unequal machines
    end together (guided self-scheduling: C. Polychronopoulos, D. Kuck, IEEE Transactions on Computers C-36, 1987).
    At the beginning, of which `begun` seconds are cut, short ones for the slots that wait while another one cuts.
    The cut may fall half a `window` later, and then still within a whole number of hearing windows.
    """
    share = UNKNOWN_DURATION_SECONDS if remaining is None else remaining / (max(slots, 1) * SHARES_PER_SLOT)
    is_awaited = begun < (slots - 1) * (HEARING_SECONDS - window)
    windows = 1 if is_awaited else max(1, int(min(share, longest) // HEARING_SECONDS))
    return min(longest, windows * HEARING_SECONDS - window / 2)
