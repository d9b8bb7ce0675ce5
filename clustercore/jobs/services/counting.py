"""Counts that outlive the rows: jobs that came and ended, and how long they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from clustercore.jobs.domain.counters import (
    FINISHED,
    JOB_BUCKETS,
    MILLISECONDS,
    SUBMITTED,
    TOOK,
    WAITED,
    bucket_of,
    counter_name,
)
from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.services.events import count_all, count_without_waiting


def count_submitted(kind: str) -> None:
    """A job was created, in a transaction that goes on to queue its units: no other submission waits for it."""
    count_without_waiting(counter_name(SUBMITTED, kind))


def count_finished(kind: str, outcome: str, *, took: float | None = None, waited: float | None = None) -> None:
    """A job has ended so; one that is retried may end again. How long it took is told of those that were done.

    `took`: seconds since it was submitted; `waited`: until its first unit was begun.
    """
    counts = {counter_name(FINISHED, kind, outcome): 1}
    if outcome == "done":
        counts |= _observed(TOOK, kind, took)
        counts |= _observed(WAITED, kind, waited)
    count_all(counts)


def count_cancelled(kinds: Iterable[str]) -> None:
    """Jobs of these kinds were cancelled together."""
    cancelled = Counter(counter_name(FINISHED, kind, JobState.CANCELLED) for kind in kinds)
    count_all(cancelled)


def _observed(name: str, kind: str, seconds: float | None) -> dict[str, int]:
    if seconds is None:
        return {}
    # Of a job during which the clock was set back: a count never falls.
    seconds = max(0.0, seconds)
    bucket = bucket_of(seconds, JOB_BUCKETS)
    return {counter_name(name, kind, bucket): 1, counter_name(name, kind, MILLISECONDS): round(seconds * 1000)}
