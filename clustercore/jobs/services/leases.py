"""Leases: extended in one statement per node, ended in one statement per job, by the database's clock only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from clustercore.embedded.domain.advisory_locks import AdvisoryLock
from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.counters import EXPIRED
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.domain.questions import DO_IT_AGAIN, SKIP, UNKNOWN_OUTCOME
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.asking import tell_of_question
from clustercore.jobs.services.events import count, record_event
from clustercore.jobs.services.settle import hand_back, hold_unknown, strike
from clustercore.jobs.services.steps import take_each
from clustercore.jobs.services.telling import job_changed
from clustercore.jobs.services.turn_locks import alone_in

# It waits for nobody: what somebody has locked just now (who queues pieces, settles or cancels) is told apart from what
# does not count any more, and is tried again soon. One that waits would cost all others their leases.
_EXTEND = """
WITH held AS (SELECT * FROM unnest(%(keys)s::uuid[], %(fractions)s::float8[]) AS h (key, fraction)),
mine AS MATERIALIZED (
    SELECT a.id, a.key, held.fraction FROM jobs_attempt a JOIN held ON a.key = held.key
    WHERE a.outcome = 'live' AND a.instance = %(instance)s
), counting AS MATERIALIZED (
    SELECT id FROM jobs_attempt WHERE id IN (SELECT id FROM mine) AND outcome = 'live' FOR NO KEY UPDATE SKIP LOCKED
), extended AS (
    UPDATE jobs_attempt a SET lease_until = now() + %(lease)s * interval '1 second'
    FROM counting JOIN mine USING (id) WHERE a.id = counting.id
    RETURNING a.key, a.unit_id, mine.fraction
), progressed AS (
    UPDATE jobs_unit u SET progress = extended.fraction FROM extended
    WHERE u.id = extended.unit_id AND u.progress IS DISTINCT FROM extended.fraction
      AND u.id IN (SELECT id FROM jobs_unit WHERE id IN (SELECT unit_id FROM extended) AND state = 'leased'
                   FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING u.id, u.job_id
)
SELECT mine.key, extended.key IS NOT NULL, progressed.job_id
FROM mine LEFT JOIN extended ON extended.key = mine.key LEFT JOIN progressed ON progressed.id = extended.unit_id
"""

# Those of one job are ended in one transaction, which then waits for nobody who has another job in hand: it queues
# their units without the job's lock, and so writes rows of the ready list that others write in an order of their own.
_EXPIRED = """
SELECT u.job_id, array_agg(a.id ORDER BY a.id) FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id
WHERE a.outcome = 'live' AND a.lease_until < now() GROUP BY u.job_id ORDER BY u.job_id
"""

# What must not be done twice is held, and a person is asked: whether its holder did it is not known.
_REAP = """
WITH expired AS (
    UPDATE jobs_attempt a
    SET outcome = CASE WHEN u.once THEN 'unknown' ELSE 'expired' END, ended = now(),
        reason = 'the lease ran out: nothing was heard from ' || a.node_name
    FROM jobs_unit u
    WHERE u.id = a.unit_id
      AND a.id IN (SELECT id FROM jobs_attempt
                   WHERE id = ANY(%(attempts)s) AND outcome = 'live' AND lease_until < now()
                   ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING a.id, a.unit_id, a.node_id, a.node_name
), lost AS (
    UPDATE jobs_unit u
    SET progress = 0, run_after = NULL, error = 'the lease ran out on ' || expired.node_name,
        state = CASE WHEN u.once THEN 'held' ELSE 'queued' END,
        hold_reason = CASE WHEN u.once THEN %(question)s::text || expired.node_name ELSE u.hold_reason END,
        avoid_node_id = expired.node_id, avoid_until = now() + interval '5 seconds'
    FROM expired
    WHERE u.id = expired.unit_id AND u.state = 'leased'
    RETURNING u.job_id, u.id, u.stage, u.ordinal, expired.node_name, u.once, u.hold_reason
), asked AS (
    INSERT INTO jobs_question (unit_id, job_id, text, options, of_outcome, created)
    SELECT id, job_id, hold_reason, ARRAY[%(again)s, %(skip)s], true, now() FROM lost WHERE once
)
SELECT * FROM lost
"""


def extend_leases(instance: UUID, held: Mapping[UUID, float], lease_seconds: float) -> dict[UUID, bool]:
    """Extends the leases of the given attempts (key to fraction done). Returns those that still count, and whether
    each was extended: somebody may have it locked just now."""
    if not held:
        return {}
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
        found = cursor.fetchall()
    for job_id in {job_id for _, _, job_id in found if job_id is not None}:
        job_changed(job_id)
    return {key: is_extended for key, is_extended, _ in found}


def reap(as_of: ClockReading, lease_seconds: float) -> int:
    """Ends expired attempts and queues their units again, job by job; returns how many.

    `as_of` is what the clocks said just now: if the database's has moved by half a lease since, it may have been set,
    and nothing is ended before that is known.
    """
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRED)
        expired: dict[int, list[int]] = dict(cursor.fetchall())
    ended: list[int] = []

    def reap_job(job_id: int) -> None:
        ended.append(_reap(expired[job_id], as_of, lease_seconds))

    take_each(reap_job, expired)
    return sum(ended)


def _reap(attempts: list[int], as_of: ClockReading, lease_seconds: float) -> int:
    """Ends those that are expired still; none where another node sweeps."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s), abs(extract(epoch FROM now()) - %s) <= %s",
            [AdvisoryLock.SWEEP, as_of.database, lease_seconds / 2],
        )
        mine, same_clock = cursor.fetchone()
        if not mine or not same_clock:
            return 0
        question = f"{UNKNOWN_OUTCOME}: nothing was heard from "
        cursor.execute(_REAP, {"attempts": attempts, "question": question, "again": DO_IT_AGAIN, "skip": SKIP})
        lost = cursor.fetchall()
        for row in lost:
            _tell_of_loss(*row)
        if lost:
            count(EXPIRED, len(lost))
    return len(lost)


def _tell_of_loss(
    job_id: int, unit_id: int, stage: str, ordinal: int, node_name: str, once: bool, hold_reason: str
) -> None:
    if once:
        tell_of_question(job_id, unit_id, f"{stage} {ordinal}", hold_reason)
        # Where another part has failed already, the job ends now; its lock comes before those that are held here.
        transaction.on_commit(partial(advance, job_id), robust=True)
        return
    text = f"{stage} {ordinal} goes to another node: nothing was heard from {node_name}"
    record_event(job_id, "lease_lost", text, unit_id=unit_id, node_name=node_name)


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
        alone_in(job_id)
        attempt = Attempt.objects.select_for_update().get(pk=attempt_id)
        if attempt.outcome != AttemptOutcome.LIVE:
            return 0
        unit = Unit.objects.select_for_update().get(pk=attempt.unit_id)
        if unit.once:
            hold_unknown(job, attempt, unit, f"the worker process on {attempt.node_name} died in the middle of it")
        elif suspected:
            strike(job, attempt, unit, "the worker process died in the middle of it")
        else:
            hand_back(attempt, unit, "the worker process died while it had another piece in work")
        job_changed(job_id)
        return 1
