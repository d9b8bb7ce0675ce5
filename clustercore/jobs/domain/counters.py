"""The names of the counts that nothing resets, and the buckets in which durations are counted."""

from __future__ import annotations

from bisect import bisect_left

JOB_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0)
"""Upper bounds in seconds of how long jobs wait and take."""
UNIT_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Upper bounds in seconds of how long units take; the database, which counts them, has them by migration 0018."""

FENCED, EXPIRED = "results.fenced", "leases.expired"
UNKNOWN_RESULTS, PLACED_RESULTS = "results.unknown", "results.placed"
"""Results whose attempt this ledger does not know, and those of them that found their unit by what they are made of."""
CLOCK_STEPS, CLOCK_MILLISECONDS = "clock.steps", "clock.ms"
"""How often the database's clock was set, and the sum of it."""
SUBMITTED, FINISHED = "jobs.submitted", "jobs.finished"
WAITED, TOOK = "jobs.waited", "jobs.took"
MILLISECONDS = "ms"


SHARE = "#"
"""Between the name of a count and the number of one of its shares, which are summed up."""


def counter_name(*parts: object) -> str:
    """Parts joined by `/`; no kind, engine or outcome holds that, or `SHARE`."""
    return "/".join(str(part) for part in parts)


def bucket_of(seconds: float, bounds: tuple[float, ...]) -> int:
    """The place of the bucket: the first whose bound is not below `seconds`; `len(bounds)` beyond the last."""
    return bisect_left(bounds, seconds)
