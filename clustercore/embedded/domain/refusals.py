"""What strangers were refused, in one line now and then: whoever knocks a million times fills no log."""

from __future__ import annotations

from collections import Counter

_MOST_ADDRESSES = 10_000


class Refusals:
    """Connections that were closed, counted by reason, and from how many addresses they came."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._addresses: set[str] = set()

    def count(self, reason: str, address: str) -> None:
        """Adds one connection from this address."""
        self._reasons[reason] += 1
        if len(self._addresses) < _MOST_ADDRESSES:
            self._addresses.add(address)

    def take(self) -> str:
        """What was counted since the last time, as a sentence; empty if nothing was."""
        if not self._reasons:
            return ""
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self._reasons.most_common())
        addresses = f"{len(self._addresses):,}{'+' if len(self._addresses) == _MOST_ADDRESSES else ''}"
        said = f"closed {self._reasons.total():,} connections; addresses: {addresses}; {reasons}"
        self._reasons.clear()
        self._addresses.clear()
        return said
