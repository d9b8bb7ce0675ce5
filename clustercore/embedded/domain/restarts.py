"""How soon is a server that died started again?"""

from __future__ import annotations

HEALTHY_SECONDS = 30.0
MOST_FAILURES = 6
_LONGEST_PAUSE = 5.0
_FIRST_PAUSE = 0.1


def pause_before(failures: int, lived_seconds: float) -> float:
    """Seconds to wait: none to speak of after a healthy life, doubling after each failed start."""
    if lived_seconds >= HEALTHY_SECONDS:
        return 0.0
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (max(1, failures) - 1))


def is_hopeless(failures: int) -> bool:
    """A server that never came to answer so many times in a row will not do so by itself."""
    return failures >= MOST_FAILURES
