"""This machine's own clock, which nobody sets."""

from __future__ import annotations

import time


def elapsed_seconds() -> float:
    """A clock that is never set and, where the system has one, goes on while the machine is suspended."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
