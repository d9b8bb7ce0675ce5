"""Which cached copies a node drops."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

IN_USE_SECONDS = 3600.0
"""A copy used within this time may be open, or about to be: room is not worth failing a unit."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One cached copy: bytes on disk, and when it was last asked for (seconds since 1970)."""

    sha256: str
    size: int
    last_used: float


def to_drop(copies: Sequence[Copy], wanted: Collection[str], budget_bytes: int, now: float) -> list[str]:
    """What is wanted no more, and then the least recently used until the rest fits `budget_bytes`.

    Copies used within `IN_USE_SECONDS` are kept even beyond the budget, unless they are wanted no more.
    """
    dropped = [copy.sha256 for copy in copies if copy.sha256 not in wanted]
    kept = sorted((copy for copy in copies if copy.sha256 in wanted), key=lambda copy: copy.last_used)
    excess = sum(copy.size for copy in kept) - budget_bytes
    for copy in kept:
        if excess <= 0 or now - copy.last_used < IN_USE_SECONDS:
            break
        dropped.append(copy.sha256)
        excess -= copy.size
    return dropped
