"""Room on the hub's disk that is kept for uploads under way, so that one person's never shut out everybody else's."""

from __future__ import annotations

from collections.abc import Mapping

RESERVED_SECONDS = 60
"""How long room is kept for an upload that brings nothing; then it has what has come, and no more."""


def room_for(person: int, reserved: Mapping[int, int], free: int) -> int:
    """Bytes that this person's next upload may have, of so many that are free.

    What the person's own uploads may still bring counts in full; that of each other person up to half of what the
    ones before left, so that something is left whatever they announce.
    """
    left = free
    for other, wanted in sorted(reserved.items(), key=lambda pair: pair[1]):
        if other != person:
            left -= min(wanted, left // 2)
    return left - reserved.get(person, 0)
