"""Leases: extended in one statement per node, ended in one statement per sweep, by the database's clock only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from django.db import connection, transaction

from clustercore.embedded.domain.advisory_locks import AdvisoryLock
from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.counters import EXPIRED
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.events import count, record_event
from clustercore.jobs.services.settle import hand_back, strike

# Attempts are locked in the order of their ids, as a cancel locks them: two orders would be a deadlock now and then.
_EXTEND = """
WITH held AS (SELECT * FROM unnest(%(keys)s::uuid[], %(fractions)s::float8[]) AS h (key, fraction)),
counting AS MATERIALIZED (
    SELECT a.id, held.fraction FROM jobs_attempt a JOIN held ON a.key = held.key
    WHERE a.outcome = 'live' AND a.instance = %(instance)s ORDER BY a.id FOR UPDATE OF a
), extended AS (
    UPDATE jobs_attempt a SET lease_until = now() + %(lease)s * interval '1 second'
    FROM counting WHERE a.id = counting.id
    RETURNING a.key, a.unit_id, counting.fraction
), progressed AS (
    UPDATE jobs_unit u SET progress = extended.fraction FROM extended
    WHERE u.id = extended.unit_id AND u.state = 'leased'
)
SELECT key FROM extended
"""

_REAP = """
WITH expired AS (
    UPDATE jobs_attempt a
    SET outcome = 'expired', ended = now(), reason = 'the lease ran out: nothing was heard from ' || a.node_name
    WHERE a.id IN (SELECT id FROM jobs_attempt WHERE outcome = 'live' AND lease_until < now()
                   ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING a.id, a.unit_id, a.node_id, a.node_name
)
UPDATE jobs_unit u
SET state = 'queued', progress = 0, run_after = NULL, error = 'the lease ran out on ' || expired.node_name,
    avoid_node_id = expired.node_id, avoid_until = now() + interval '5 seconds'
FROM expired
WHERE u.id = expired.unit_id AND u.state = 'leased'
RETURNING u.job_id, u.id, u.stage, u.ordinal, expired.node_name
"""


def extend_leases(instance: UUID, held: Mapping[UUID, float], lease_seconds: float) -> set[UUID]:
    """Extends the leases of the given attempts (key to fraction done); returns those that still count."""
    if not held:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            _EXTEND,
            {
                "keys": list(held),
                "fractions": list(held.values()),
                "instance": instance,
                "lease": lease_seconds,
            },
        )
        return {row[0] for row in cursor.fetchall()}


def reap(as_of: ClockReading, lease_seconds: float) -> int | None:
    """Ends expired attempts and queues their units again; returns how many, None when another node sweeps.

    `as_of` is what the clocks said just now: if the database's has moved by half a lease since, it may have been set,
    and nothing is ended before that is known.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s), abs(extract(epoch FROM now()) - %s) <= %s",
            [AdvisoryLock.SWEEP, as_of.database, lease_seconds / 2],
        )
        mine, same_clock = cursor.fetchone()
        if not mine:
            return None
        if not same_clock:
            return 0
        cursor.execute(_REAP)
        lost = cursor.fetchall()
        for job_id, unit_id, stage, ordinal, node_name in lost:
            text = f"{stage} {ordinal} goes to another node: nothing was heard from {node_name}"
            record_event(job_id, "lease_lost", text, unit_id=unit_id, node_name=node_name)
        if lost:
            count(EXPIRED, len(lost))
    return len(lost)


def end_left_behind(node_name: str, boot_id: str, instance: UUID, suspects: Collection[UUID] | None) -> int:
    """Ends what an earlier process of this node left behind since the same start of the machine: it crashed.

    Each attempt is a strike if its key is among `suspects` (None: all are), else it is handed back. What was claimed
    before the machine started anew is left to its lease: a power cut proves nothing. Returns how many ended.
    """
    left = Attempt.objects.filter(outcome=AttemptOutcome.LIVE, node_name=node_name, boot_id=boot_id)
    ended = 0
    for attempt_id, key, job_id in left.exclude(instance=instance).values_list("pk", "key", "unit__job_id"):
        ended += _end_one(attempt_id, job_id, suspected=suspects is None or key in suspects)
    return ended


def _end_one(attempt_id: int, job_id: int, *, suspected: bool) -> int:
    with transaction.atomic():
        job = Job.objects.select_for_update(no_key=True).get(pk=job_id)
        attempt = Attempt.objects.select_for_update().get(pk=attempt_id)
        if attempt.outcome != AttemptOutcome.LIVE:
            return 0
        unit = Unit.objects.select_for_update().get(pk=attempt.unit_id)
        if suspected:
            strike(job, attempt, unit, "the worker process died in the middle of it")
        else:
            hand_back(attempt, unit, "the worker process died while it had another piece in work")
        return 1
