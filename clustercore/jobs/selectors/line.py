"""Reads the line of jobs that wait for their turn, and what is known of how fast it moves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from clustercore.jobs.domain.kinds import KindOutline, outline_of, outlines
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.line import (
    FAR_BACK,
    LINE_JOBS,
    LONGEST_COUNTED,
    Demand,
    Place,
    QueuedJob,
    Server,
    places,
    rate_for,
    usual_amount,
)
from clustercore.jobs.selectors.eligibility import LIVE
from clustercore.jobs.selectors.work import LAST_ATTEMPTS

WIDE_COUNTED = 3
"""Of jobs in line with very many units: what is left of so many is counted, to the last unit."""

# In the order of work, which services/claim.py defines. A job has begun once any unit of it was taken. Of one that only
# waits for a person nobody knows when it goes on: it stands in nobody's way. Each look at a job stops after so many of
# its units: one that has more is counted apart, and has no say in what is usual.
_LINE = """
SELECT j.id, j.kind, j.engine, j.model, coalesce(j.needs, '{}') || coalesce(whole.needs, '{}') AS needs,
       coalesce(j.min_rung, j.floor) AS min_rung,
       j.critical_accuracy, main.stage,
       EXISTS (SELECT FROM jobs_unit u WHERE u.job_id = j.id AND u.state = ANY(%(begun)s)) AS has_begun,
       CASE WHEN whole.units > 0 THEN coalesce(opened.amount, 0) - coalesce(in_hand.amount, 0) END AS amount_left,
       opened.units > %(most)s AS is_wide,
       CASE WHEN whole.units <= %(most)s THEN whole.amount END AS amount, whole.capability,
       NOT EXISTS (
           SELECT FROM jobs_unit u
           WHERE u.job_id = j.id AND u.state = ANY(%(undone)s) AND u.stage = ANY(main.before)) AS is_known
FROM first j LEFT JOIN main ON main.kind = j.kind CROSS JOIN LATERAL (
    SELECT count(*) AS units, sum(weight) AS amount FROM (
        SELECT u.weight FROM jobs_unit u
        WHERE u.job_id = j.id AND u.state = ANY(%(open)s) AND u.stage = main.stage LIMIT %(most)s + 1) few
) opened CROSS JOIN LATERAL (
    SELECT sum(u.weight * u.progress) AS amount FROM jobs_unit u
    WHERE u.job_id = j.id AND u.state = 'leased' AND u.stage = main.stage
) in_hand CROSS JOIN LATERAL (
    SELECT count(*) AS units, sum(weight) AS amount, max(capability) AS capability,
           max(needs) AS needs FROM (
        SELECT u.weight, u.capability, u.needs FROM jobs_unit u
        WHERE u.job_id = j.id AND u.stage = main.stage LIMIT %(most)s + 1) few
) whole
WHERE EXISTS (SELECT FROM jobs_unit u WHERE u.job_id = j.id AND u.state IN ('queued', 'leased'))
   OR NOT EXISTS (SELECT FROM jobs_question q WHERE q.job_id = j.id AND q.answer = '' AND q.withdrawn IS NULL)
ORDER BY j.priority DESC, j.id
"""
_FINISHED = """
SELECT sum(of_job.amount) / count(*)
FROM (SELECT id, kind FROM jobs_job WHERE state = 'done' ORDER BY id DESC LIMIT 20) j
JOIN main ON main.kind = j.kind CROSS JOIN LATERAL (
    SELECT count(*) AS units, sum(weight) AS amount FROM (
        SELECT u.weight FROM jobs_unit u WHERE u.job_id = j.id AND u.stage = main.stage LIMIT %(most)s + 1) few
) of_job
WHERE of_job.units BETWEEN 1 AND %(most)s
"""
# Every usable model on a node that takes work, at the speed of the node's last attempts, else of the model's self-test.
_SERVERS = f"""
SELECT m.node_id, n.slots, m.capability, m.engine, m.model, m.traits, m.rung,
       coalesce(measured.rate, 1 / nullif(
           (n.self_test -> 'models' -> (m.engine || ':' || m.model) ->> 'real_time_factor')::float8, 0)) AS rate
FROM nodes_nodemodel m JOIN nodes_node n ON n.id = m.node_id LEFT JOIN (
    SELECT a.node_id, u.capability, sum(u.weight) / nullif(sum((a.served_by ->> 'seconds')::float8), 0) AS rate
    FROM lately a CROSS JOIN LATERAL (
        SELECT stage, capability, weight FROM jobs_unit WHERE id = a.unit_id OFFSET 0) u
    WHERE a.outcome = 'done' AND a.ended > now() - interval '1 hour' AND u.stage IN (SELECT stage FROM main)
    GROUP BY a.node_id, u.capability
) measured ON measured.node_id = m.node_id AND measured.capability = m.capability
WHERE m.usable AND {LIVE} ORDER BY m.node_id, m.rung DESC, m.engine, m.model
"""
_EVERYTHING = f"""
WITH main AS (SELECT * FROM jsonb_to_recordset(%(kinds)s::jsonb) AS main(kind text, stage text, before text[])),
first AS MATERIALIZED (
    SELECT * FROM jobs_job WHERE state = 'running' ORDER BY priority DESC, id LIMIT %(jobs)s),
lately AS MATERIALIZED (
    SELECT unit_id, node_id, outcome, ended, served_by FROM jobs_attempt ORDER BY id DESC LIMIT %(attempts)s)
SELECT coalesce((SELECT jsonb_agg(line) FROM ({_LINE}) line), '[]'),
       coalesce((SELECT jsonb_agg(server) FROM ({_SERVERS}) server), '[]'), ({_FINISHED}), (SELECT count(*) FROM first)
"""
_LEFT = """
SELECT job_id, sum(weight) FROM jobs_unit WHERE job_id = %s AND state = ANY(%s) AND stage = %s GROUP BY job_id
"""
_OPEN = [UnitState.QUEUED, UnitState.HELD, UnitState.LEASED]
_NOT_BEGUN = (UnitState.BLOCKED, UnitState.QUEUED, UnitState.HELD)


def places_in_line(ids: Sequence[int]) -> dict[int, Place]:
    """Returns the place of each of these jobs, which run and of which nothing has begun.

    The first `LINE_JOBS` running jobs are looked at: behind them a job is told that so many stand before it. One query,
    and one for each of the first few that have very many units.
    """
    wanted: dict[str, Any] = {
        **{"kinds": json.dumps([_main_of(kind) for kind in outlines()]), "jobs": LINE_JOBS, "most": LONGEST_COUNTED},
        **{"attempts": LAST_ATTEMPTS, "open": _OPEN, "undone": [one for one in UnitState if one != UnitState.DONE]},
        "begun": [one for one in UnitState if one not in _NOT_BEGUN],
    }
    with connection.cursor() as cursor:
        cursor.execute(_EVERYTHING, wanted)
        found, able, finished, looked_at = cursor.fetchone()
    rows = json.loads(found)
    left = _left_of_wide([row for row in rows if row["is_wide"]])
    line = [_queued(row, left) for row in rows]
    servers = [Server(**{**row, "traits": tuple(row["traits"])}) for row in json.loads(able)]
    rates = {row["id"]: rate_for(_demand(row), servers) for row in rows if not row["has_begun"]}
    known = places(line, rates, usual_amount(line, finished))
    if looked_at < LINE_JOBS:
        return {job_id: known[job_id] for job_id in ids if job_id in known}
    begun = {row["id"] for row in rows if row["has_begun"]}
    return {job_id: known.get(job_id, FAR_BACK) for job_id in ids if job_id not in begun}


def _main_of(kind: KindOutline) -> dict[str, Any]:
    return {"kind": kind.name, "stage": kind.main_stage, "before": kind.before_main}


def _left_of_wide(rows: Sequence[dict[str, Any]]) -> dict[int, float]:
    """What is left of the first few of these; of the others nobody counts it."""
    left: dict[int, float] = {}
    with connection.cursor() as cursor:
        for row in rows[:WIDE_COUNTED]:
            cursor.execute(_LEFT, [row["id"], _OPEN, row["stage"]])
            left |= dict(cursor.fetchall())
    return left


def _queued(row: dict[str, Any], left_of_wide: Mapping[int, float]) -> QueuedJob:
    if row["is_wide"]:
        return QueuedJob(
            id=row["id"], has_begun=row["has_begun"], amount_left=left_of_wide.get(row["id"], math.inf), amount=None
        )
    is_known = row["is_known"] and row["amount_left"] is not None
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
        needs=tuple(row["needs"]),
        lowest_rung=row["min_rung"],
        best_only=row["critical_accuracy"],
        ranked=kind.main_ranked,
    )
