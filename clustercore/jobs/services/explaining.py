"""Telling on every job that waits for a node why it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection

from clustercore.config.environment import environment
from clustercore.jobs.domain.kinds import remedies_of
from clustercore.jobs.domain.waiting import BROKER_AWAY, job_waits_because
from clustercore.jobs.selectors.eligibility import Stuck, jobs_without_a_running_unit
from clustercore.jobs.services.telling import job_changed

REASONS_IN_TURN = 3
REASON_CHARACTERS = 400

# All at once, and only what changes. A job that somebody has locked just now is told of at the next sweep. What is
# among the last reasons told is not told again: such as come and go, or take turns, leave one event each.
_WRITE = """
WITH said AS (
    SELECT * FROM unnest(%(jobs)s::bigint[], %(reasons)s::text[]) AS s (id, reason)
), free AS MATERIALIZED (
    SELECT id FROM jobs_job WHERE id = ANY(%(jobs)s::bigint[]) AND state = 'running'
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), written AS (
    UPDATE jobs_job j SET waiting = said.reason FROM said JOIN free USING (id) WHERE j.id = said.id
    RETURNING j.id, said.reason
)
INSERT INTO jobs_jobevent (job_id, at, name, text, node_name)
SELECT w.id, now(), 'waiting', 'waiting: ' || w.reason, '' FROM written w
WHERE w.reason <> '' AND NOT EXISTS (
    SELECT FROM (SELECT e.text FROM jobs_jobevent e WHERE e.job_id = w.id AND e.name = 'waiting'
                 ORDER BY e.id DESC LIMIT %(turns)s) told
    WHERE told.text = 'waiting: ' || w.reason)
ORDER BY w.id
"""
_CLEARED = """
SELECT id FROM jobs_job WHERE state = 'running' AND waiting <> '' AND id <> ALL(%(stuck)s::bigint[])
"""


def explain_waiting_jobs(*, broker_away: str | None = None) -> None:
    """Writes the reason on every job that waits for a node, and clears it where something runs."""
    stuck = jobs_without_a_running_unit()
    reasons = {found.job_id: _reason(found, broker_away) for found in stuck}
    changed = {found.job_id: reasons[found.job_id] for found in stuck if reasons[found.job_id] != found.waiting}
    with connection.cursor() as cursor:
        cursor.execute(_CLEARED, {"stuck": list(reasons)})
        cleared = {job_id: "" for (job_id,) in cursor.fetchall()}
    _write(cleared | changed)


def _write(reasons: Mapping[int, str]) -> None:
    if reasons:
        said: dict[str, Any] = {"jobs": list(reasons), "reasons": list(reasons.values()), "turns": REASONS_IN_TURN}
        with connection.cursor() as cursor:
            cursor.execute(_WRITE, said)
        for job_id in reasons:
            job_changed(job_id)


def _reason(found: Stuck, broker_away: str | None) -> str:
    if broker_away is None and found.nodes_able and found.waiting.startswith(BROKER_AWAY):
        # Another node's word, which one that has not asked has nothing to set against: it would come and go.
        return found.waiting
    return job_waits_because(
        contract=found.contract,
        capability=found.capability,
        needs=found.needs,
        engine=found.engine,
        model=found.model,
        remedies=remedies_of(found.contract.partition("/")[0]),
        floor=found.floor if found.ranked else 0,
        floor_wait_seconds=environment().floor_wait_seconds if found.may_fall else None,
        nodes_online=found.nodes_online,
        nodes_with_contract=found.nodes_with_contract,
        nodes_with_capability=found.nodes_with_capability,
        nodes_able=found.nodes_able,
        refused=found.refused,
        holds=found.holds,
        broker_away=broker_away or "",
    )[:REASON_CHARACTERS]
