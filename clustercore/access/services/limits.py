"""How often something may be done: exact however many ask at once, because Redis looks and counts in one step."""

from __future__ import annotations

import math
from collections.abc import Mapping

from clustercore.access.adapters import counters


def take(bucket: str, limit: int, seconds: int) -> int:
    """Counts one use of `bucket`: 0, or the seconds to wait where `limit` uses were made in the present window.

    A refused use is not counted. A window of `seconds` begins with its first use. Raises CountersAway, and the caller
    decides what that means: whoever guards a password refuses, whoever guards against haste lets through.
    """
    return take_all({bucket: limit}, seconds)


def take_all(limits: Mapping[str, int], seconds: int) -> int:
    """The same for several buckets at once (bucket to limit): all are counted, or none. Raises CountersAway."""
    return math.ceil(counters.take_from_all(limits, seconds) / 1000)


def give_back(*buckets: str) -> None:
    """Takes back a use that turned out not to count. Raises CountersAway."""
    counters.give_back(list(buckets))


def forget_all(beginning: str) -> None:
    """Forgets all uses of all buckets whose names begin so. Raises CountersAway."""
    counters.empty_all(beginning)
