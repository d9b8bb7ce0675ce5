"""Why a node takes nothing: one reason for each source, some of which end by themselves."""

from __future__ import annotations

import math
import threading
import time

AT_START = "starting"
WITHOUT_BROKER = f"{AT_START}: the broker (Redis) does not answer"
SHORTAGE_SECONDS = 15.0
"""How long a machine without disk, memory or descriptors takes nothing before it tries again."""


class Holds:
    """The holds of one node. Safe to use from any thread."""

    def __init__(self, **reasons: str) -> None:
        self._lock = threading.Lock()
        self._reasons = dict(reasons)
        self._ends: dict[str, float] = {}

    def __bool__(self) -> bool:
        with self._lock:
            return bool(self._reasons)

    @property
    def reason(self) -> str:
        """All of them in words; empty when there is none."""
        with self._lock:
            return "; ".join(self._reasons.values())

    def put(self, source: str, reason: str, seconds: float | None = None) -> bool:
        """Holds for as long as it is not removed, or for so long at most; whether that says something new."""
        with self._lock:
            changed = self._reasons.get(source) != reason
            self._reasons[source] = reason
            self._ends[source] = math.inf if seconds is None else time.monotonic() + seconds
            return changed

    def remove(self, source: str) -> bool:
        """Whether there was one of this source."""
        with self._lock:
            return self._reasons.pop(source, None) is not None

    def end_expired(self) -> bool:
        """Removes those whose time is up, in one step with the look: one that was renewed stays. Whether any was."""
        now = time.monotonic()
        with self._lock:
            expired = [source for source in self._reasons if self._ends.get(source, math.inf) <= now]
            for source in expired:
                del self._reasons[source]
            return bool(expired)
