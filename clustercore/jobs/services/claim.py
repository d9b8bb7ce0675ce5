"""Claim: one statement takes the best unit that this node may have, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from clustercore.jobs.adapters.statements import fetch_prepared
from clustercore.jobs.selectors.eligibility import ELIGIBLE, FLOOR

# Priority, then the job with the least running and, among equals, the one that was
# served longest ago, come first; within the chosen job the hinted unit, else its oldest.
# OFFSET 0 keeps the planner from repeating the choice wherever it is named; `+ 0` makes it look the hint up by its key.
# A node that this ledger does not know by its instance gets nothing: after a restore its number may be another's.
# LATERAL keeps the cost at one index probe per running job; SKIP LOCKED keeps nodes out of each other's way.
_CLAIM = f"""
WITH chosen AS (
    SELECT picked.id AS unit_id
    FROM jobs_job j
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT u.id FROM jobs_unit u WHERE u.id = %(hint)s::bigint AND u.job_id + 0 = j.id AND {ELIGIBLE}
             FOR UPDATE SKIP LOCKED),
            (SELECT u.id FROM jobs_unit u WHERE u.job_id = j.id AND {ELIGIBLE}
             ORDER BY u.id LIMIT 1 FOR UPDATE SKIP LOCKED)
        ) AS id
        OFFSET 0
    ) picked
    CROSS JOIN LATERAL (
        SELECT (SELECT count(*) FROM jobs_unit r WHERE r.job_id = j.id AND r.state = 'leased') AS running,
               (SELECT max(r.leased_at) FROM jobs_unit r WHERE r.job_id = j.id) AS last
    ) served
    WHERE j.state = 'running' AND picked.id IS NOT NULL
      AND (SELECT NOT n.drained FROM nodes_node n WHERE n.id = %(node)s::bigint AND n.instance = %(instance)s::uuid)
    ORDER BY j.priority DESC, served.running, served.last NULLS FIRST, (picked.id = %(hint)s::bigint) DESC, picked.id
    LIMIT 1
), taken AS (
    UPDATE jobs_unit
    SET state = 'leased', leased_at = now(), attempts_made = attempts_made + 1, progress = 0, hold_reason = '',
        avoid_node_id = NULL, avoid_until = NULL
    FROM chosen
    WHERE jobs_unit.id = chosen.unit_id AND jobs_unit.state = 'queued'
    RETURNING jobs_unit.*
), tried AS (
    INSERT INTO jobs_attempt
        (unit_id, number, node_id, node_name, instance, boot_id, outcome, lease_until, started, reason, served_by,
         fenced_results)
    SELECT id, attempts_made, %(node)s::bigint, %(node_name)s::text, %(instance)s::uuid, %(boot_id)s::text, 'live',
           now() + %(lease)s::float8 * interval '1 second', now(), '', '{{}}', 0
    FROM taken
    RETURNING id, key
)
SELECT u.id, tried.id, tried.key, u.attempts_made, u.stage, u.ordinal, u.payload, {FLOOR},
       j.id, j.key, j.kind, j.parameters, j.language, j.engine, j.model,
       ARRAY(SELECT needed.sha256 FROM jobs_jobblob needed WHERE needed.unit_id = u.id),
       coalesce((SELECT h.identity FROM blobs_hub h), '')
FROM taken u CROSS JOIN tried JOIN jobs_job j ON j.id = u.job_id
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A unit this node now holds, with all that its handler needs."""

    unit_id: int
    attempt_id: int
    key: UUID
    """What ends, extends and speaks for this attempt; nobody else can guess it."""
    attempt_number: int
    stage: str
    ordinal: int
    payload: Mapping[str, Any]
    minimum_rung: int
    job_id: int
    job_key: UUID
    kind: str
    parameters: Mapping[str, Any]
    language: str | None
    engine: str
    model: str
    blobs: Sequence[str]
    """The blobs that it refers to."""
    hub: str
    """The identity of the hub whose ledger gave it; empty where none was established."""


_COLUMNS = tuple(column.name for column in fields(Claimed))
"""In the order of the statement's."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """The node that claims, as the ledger knows it."""

    node_id: int
    node_name: str
    instance: UUID
    boot_id: str
    capabilities: Sequence[str]
    lease_seconds: float


def claim(claimant: Claimant, hint: int | None) -> Claimed | None:
    """Takes the hinted unit or the best other one this node is eligible for; None when there is none."""
    rows = fetch_prepared(
        _CLAIM,
        {
            "hint": hint,
            "node": claimant.node_id,
            "node_name": claimant.node_name,
            "instance": claimant.instance,
            "boot_id": claimant.boot_id,
            "lease": claimant.lease_seconds,
            "capabilities": list(claimant.capabilities),
        },
    )
    return _claimed(rows[0]) if rows else None


def _claimed(row: tuple[Any, ...]) -> Claimed:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Claimed(**values | {name: _object(values[name]) for name in ("payload", "parameters")})


def _object(value: Any) -> Mapping[str, Any]:
    # Django leaves jsonb as text on raw cursors so that model fields can choose their decoder.
    decoded: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value
    return decoded
