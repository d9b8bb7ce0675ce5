"""A database whose clock is set: open leases and times to come move by the step, so that they go on being true."""

from __future__ import annotations

import logging

from django.db import connection, transaction

from clustercore.blobs.services.clock import shift_times
from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.clock import ClockReading, step_between, step_in_words
from clustercore.jobs.domain.counters import CLOCK_MILLISECONDS, CLOCK_STEPS
from clustercore.jobs.models import Counter
from clustercore.jobs.services.events import count, record_event
from clustercore.jobs.services.ready import lock_ready
from clustercore.nodes.services import shift_last_seen

logger = logging.getLogger(__name__)

# Set forward, all leases are moved: one that a smaller step has only shortened might run out before its holder extends
# it. Set back, only those that are longer than any. None becomes longer than a lease, whatever was measured.
_SHIFT_LEASES = """
WITH shifted AS (
    UPDATE jobs_attempt SET lease_until = least(lease_until + %(step)s * interval '1 second',
                                                now() + %(lease)s * interval '1 second')
    WHERE id IN (SELECT id FROM jobs_attempt WHERE outcome = 'live'
                   AND CASE WHEN %(step)s > 0 THEN lease_until < now() + %(lease)s * interval '1 second'
                            ELSE lease_until > now() + %(lease)s * interval '1 second' END
                 ORDER BY id FOR UPDATE)
    RETURNING unit_id
)
SELECT DISTINCT u.job_id FROM shifted JOIN jobs_unit u ON u.id = shifted.unit_id
"""

# A clock set forward makes what waits due early, which harms nobody; set back, it would wait for as long again.
_LOCK_WAITS = """
SELECT job_id FROM jobs_unit WHERE state IN ('queued', 'held', 'leased') AND %(step)s < 0
  AND (run_after > now() OR avoid_until > now() OR excluded_until > now())
ORDER BY id FOR UPDATE
"""
_SHIFT_WAITS = """
UPDATE jobs_unit SET run_after = run_after + %(step)s * interval '1 second',
                     avoid_until = avoid_until + %(step)s * interval '1 second',
                     excluded_until = excluded_until + %(step)s * interval '1 second'
WHERE state IN ('queued', 'held', 'leased') AND %(step)s < 0
  AND (run_after > now() OR avoid_until > now() OR excluded_until > now())
"""

# What a person or a join is given must neither pass at once nor wait for as long again: it goes with every step.
_SHIFT_TIMERS = """
UPDATE jobs_unit SET join_until = join_until + %(step)s * interval '1 second',
                     deadline = deadline + %(step)s * interval '1 second'
WHERE id IN (SELECT id FROM jobs_unit WHERE state IN ('blocked', 'queued', 'held')
               AND (join_until IS NOT NULL OR deadline IS NOT NULL)
             ORDER BY id FOR UPDATE)
"""


# A person has as long as was promised, whichever way the clock is set.
_SHIFT_QUESTIONS = """
UPDATE jobs_question SET until = until + %(step)s * interval '1 second'
WHERE answer = '' AND withdrawn IS NULL AND until IS NOT NULL
"""


# In their order, as whoever locks several jobs does.
_SHIFT_FLOORS = """
UPDATE jobs_job SET floor_unserved_since = floor_unserved_since + %(step)s * interval '1 second'
WHERE id IN (SELECT id FROM jobs_job WHERE state = 'running' AND floor_unserved_since IS NOT NULL
             ORDER BY id FOR NO KEY UPDATE)
"""


class ClockWatch:
    """One process's view of the database's clock."""

    def __init__(self) -> None:
        self._before: ClockReading | None = None

    def follow(self, reading: ClockReading, lease_seconds: float) -> ClockReading:
        """Follows a step between the last look and this one; returns what the clocks say then."""
        if self._before is not None and step_between(self._before, reading):
            reading = follow_step(self._before, lease_seconds)
        self._before = reading
        return reading


@transaction.atomic
def follow_step(before: ClockReading, lease_seconds: float) -> ClockReading:
    """Moves all times that count from now by the step since `before`, unless another node has; tells it once."""
    Counter.objects.bulk_create([Counter(name=CLOCK_MILLISECONDS, value=0)], ignore_conflicts=True)
    Counter.objects.select_for_update().get(pk=CLOCK_MILLISECONDS)
    step = step_between(before, read_clocks())
    if step:
        _shift(step, lease_seconds)
    return read_clocks()


def _shift(step: float, lease_seconds: float) -> None:
    logger.warning("the database's clock was %s: leases are moved with it", step_in_words(step))
    count(CLOCK_MILLISECONDS, round(step * 1000))
    count(CLOCK_STEPS)
    with connection.cursor() as cursor:
        cursor.execute(_SHIFT_FLOORS, {"step": step})
        cursor.execute(_SHIFT_LEASES, {"step": step, "lease": lease_seconds})
        jobs = [row[0] for row in cursor.fetchall()]
        cursor.execute(_LOCK_WAITS, {"step": step})
        # Units come before the ready list, as everywhere, and both in one order.
        lock_ready([row[0] for row in cursor.fetchall()])
        cursor.execute(_SHIFT_WAITS, {"step": step})
        cursor.execute(_SHIFT_TIMERS, {"step": step})
        cursor.execute(_SHIFT_QUESTIONS, {"step": step})
    shift_last_seen(step)
    shift_times(step)
    for job_id in jobs:
        text = f"the hub's clock was {step_in_words(step)}: leases were moved with it"
        record_event(job_id, "clock_step", text)
