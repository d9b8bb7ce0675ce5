"""Reads the line of jobs that wait for their turn, and what is known of how fast it moves."""

from __future__ import annotations

import json
from typing import Any

from django.db import connection

from clustercore.jobs.domain.kinds import outline_of, outlines
from clustercore.jobs.domain.line import Demand, Place, QueuedJob, Server, places, rate_for, usual_amount
from clustercore.jobs.selectors.eligibility import LIVE

# In the order of work, which services/claim.py defines. A job has begun once any unit of it was taken. Of one that only
# waits for a person nobody knows when it goes on: it stands in nobody's way.
_LINE = """
SELECT j.id, j.kind, j.engine, j.model, j.language, coalesce(j.min_rung, j.floor) AS min_rung,
       j.critical_accuracy,
       of_job.has_begun, of_job.amount_left, of_job.amount, of_job.is_known, of_job.capability
FROM jobs_job j LEFT JOIN main ON main.kind = j.kind CROSS JOIN LATERAL (
    SELECT bool_or(u.state IN ('queued', 'leased')) AS is_moving,
           coalesce(bool_or(u.state NOT IN ('blocked', 'queued', 'held')), false) AS has_begun,
           sum(u.weight * (1 - u.progress)) FILTER (
               WHERE u.stage = main.stage AND u.state IN ('queued', 'held', 'leased')) AS amount_left,
           sum(u.weight) FILTER (WHERE u.stage = main.stage) AS amount,
           coalesce(bool_and(u.state = 'done') FILTER (WHERE u.stage = ANY(main.before)), true) AS is_known,
           max(u.capability) FILTER (WHERE u.stage = main.stage) AS capability
    FROM jobs_unit u WHERE u.job_id = j.id
) of_job
WHERE j.state = 'running' AND (of_job.is_moving OR NOT EXISTS (
    SELECT FROM jobs_question q WHERE q.job_id = j.id AND q.answer = '' AND q.withdrawn IS NULL))
ORDER BY j.priority DESC, j.id
"""
_FINISHED = """
SELECT sum(u.weight) / count(DISTINCT u.job_id) FROM jobs_unit u JOIN jobs_job j ON j.id = u.job_id
JOIN main ON main.kind = j.kind AND main.stage = u.stage
WHERE j.id IN (SELECT id FROM jobs_job WHERE state = 'done' ORDER BY id DESC LIMIT 20)
"""
# Every usable model on a node that takes work, at the speed of the node's last hour, else of the model's self-test.
_SERVERS = f"""
SELECT m.node_id, n.slots, m.capability, m.engine, m.model, m.languages, m.rung,
       coalesce(measured.rate, 1 / nullif(
           (n.self_test -> 'models' -> (m.engine || ':' || m.model) ->> 'real_time_factor')::float8, 0)) AS rate
FROM nodes_nodemodel m JOIN nodes_node n ON n.id = m.node_id LEFT JOIN (
    SELECT a.node_id, u.capability, sum(u.weight) / nullif(sum((a.served_by ->> 'seconds')::float8), 0) AS rate
    FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id
    WHERE a.outcome = 'done' AND a.ended > now() - interval '1 hour' AND u.stage IN (SELECT stage FROM main)
    GROUP BY a.node_id, u.capability
) measured ON measured.node_id = m.node_id AND measured.capability = m.capability
WHERE m.usable AND {LIVE} ORDER BY m.node_id, m.rung DESC, m.engine, m.model
"""
_EVERYTHING = f"""
WITH main AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS main(kind text, stage text, before text[]))
SELECT coalesce((SELECT jsonb_agg(line) FROM ({_LINE}) line), '[]'),
       coalesce((SELECT jsonb_agg(server) FROM ({_SERVERS}) server), '[]'), ({_FINISHED})
"""


def places_in_line() -> dict[int, Place]:
    """Returns the place of every running job of which nothing has begun. One query."""
    known = [{"kind": kind.name, "stage": kind.main_stage, "before": kind.before_main} for kind in outlines()]
    with connection.cursor() as cursor:
        cursor.execute(_EVERYTHING, [json.dumps(known)])
        found, able, finished = cursor.fetchone()
    rows = json.loads(found)
    line = [_queued(row) for row in rows]
    servers = [Server(**{**row, "languages": tuple(row["languages"])}) for row in json.loads(able)]
    rates = {row["id"]: rate_for(_demand(row), servers) for row in rows if not row["has_begun"]}
    return places(line, rates, usual_amount(line, finished))


def _queued(row: dict[str, Any]) -> QueuedJob:
    is_known = row["is_known"] and row["amount"] is not None
    return QueuedJob(
        id=row["id"],
        has_begun=row["has_begun"],
        amount_left=(row["amount_left"] or 0.0) if is_known else None,
        amount=row["amount"] if is_known else None,
    )


def _demand(row: dict[str, Any]) -> Demand:
    kind = outline_of(row["kind"])
    if kind is None:
        return Demand(capability="")
    return Demand(
        capability=row["capability"] or kind.main_capability,
        engine=row["engine"],
        model=row["model"],
        language=row["language"],
        lowest_rung=row["min_rung"],
        best_only=row["critical_accuracy"],
        ranked=kind.main_ranked,
    )
