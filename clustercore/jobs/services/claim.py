"""Claim: one statement takes the best unit that this node may have, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.kinds import light_stages
from clustercore.jobs.domain.questions import Answer
from clustercore.jobs.selectors.eligibility import (
    BY_UNIT,
    ELIGIBLE,
    FLOOR,
    RUNNING_IN_ORDER,
    UNITS_IN_ORDER,
    known_here,
)
from clustercore.jobs.services.telling import job_changed

# THE ORDER OF WORK, here and nowhere else:
#   1. the job's priority (whose owner has the fewest places in use would come next),
#   2. a light unit (`Stage.light`: it finishes a begun job, or is nearly free),
#   3. the oldest job,
#   4. the order of the units within their job; there alone a message's hint may choose another.
# The job is chosen without a lock and its unit taken under one. Both look a job's first unit up in an index; the choice
# stops at the first job that has one. LIMIT keeps the planner from turning the look into a join with all units.
# A node that this ledger does not know by its instance gets nothing: after a restore its number may be another's.
_FIRST = f"SELECT u.id FROM {UNITS_IN_ORDER} {BY_UNIT} LIMIT 1"
_FIRST_LIGHT = f"""
    SELECT u.id FROM unnest(%(light_kinds)s::text[], %(light_stages)s::text[]) AS light(kind, stage)
    CROSS JOIN LATERAL (
        SELECT u.id FROM jobs_unit u
        WHERE light.kind = j.kind AND u.job_id = j.id AND u.stage = light.stage AND {ELIGIBLE}
        ORDER BY u.ordinal LIMIT 1 %s
    ) u LIMIT 1"""
_HINTED = f"SELECT u.id FROM jobs_unit u WHERE u.id = %(hint)s::bigint AND u.job_id + 0 = j.id AND {ELIGIBLE}"

_FIRST_OF_STAGE = f"SELECT u.id FROM {UNITS_IN_ORDER} AND u.stage = %(only_stage)s::text {BY_UNIT} LIMIT 1"


def _first_job(look: str, passed: str) -> str:
    """SQL: the first job in line that has a unit to be seen by `look`, but those that were passed over."""
    return f"""
        SELECT j.id, j.priority
        FROM {RUNNING_IN_ORDER} CROSS JOIN LATERAL ({look}) u
        WHERE NOT j.id = ANY(%({passed})s::bigint[])
          AND (SELECT NOT n.drained FROM nodes_node n WHERE n.id = %(node)s::bigint AND n.instance = %(instance)s::uuid)
        ORDER BY j.priority DESC, j.id LIMIT 1"""


# Of the last time that it asked: what was approved before that may have been something else.
_ANSWER = """
    (SELECT CASE WHEN q.answer <> '' THEN jsonb_build_object(
         'option', q.answer, 'by', q.answered_by, 'bound_to', q.bound_to, 'at', q.answered) END
     FROM jobs_question q WHERE q.unit_id = u.id AND NOT q.of_outcome ORDER BY q.id DESC LIMIT 1)"""

_QUERY = f"""
WITH light AS ({_first_job(_FIRST_LIGHT.replace("%s", ""), "passed_light")}),
oldest AS ({_first_job(_FIRST, "passed")}),
chosen AS (
    SELECT one.id, one.is_light FROM (
        SELECT * FROM (SELECT *, true AS is_light FROM light UNION ALL SELECT *, false FROM oldest) either
        ORDER BY either.priority DESC, either.is_light DESC LIMIT 1
    ) one WHERE %(only_job)s::bigint IS NULL OR one.id = %(only_job)s::bigint AND NOT one.is_light
), locked AS (
    SELECT CASE WHEN chosen.is_light THEN ({_FIRST_LIGHT.replace("%s", "FOR UPDATE SKIP LOCKED")})
           WHEN %(only_stage)s::text IS NOT NULL THEN ({_FIRST_OF_STAGE} FOR UPDATE SKIP LOCKED)
           ELSE coalesce(({_HINTED} FOR UPDATE SKIP LOCKED), ({_FIRST} FOR UPDATE SKIP LOCKED)) END AS unit_id
    FROM chosen JOIN jobs_job j ON j.id = chosen.id
), taken AS (
    UPDATE jobs_unit
    SET state = 'leased', leased_at = now(), attempts_made = attempts_made + 1, progress = 0, hold_reason = '',
        avoid_node_id = NULL, avoid_until = NULL
    FROM locked
    WHERE jobs_unit.id = locked.unit_id AND jobs_unit.state = 'queued'
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
SELECT chosen.id, chosen.is_light,
       u.id, tried.id, tried.key, u.attempts_made, u.stage, u.ordinal, u.payload, {FLOOR},
       j.id, j.key, j.kind, j.parameters, j.language, j.engine, j.model,
       ARRAY(SELECT needed.sha256 FROM jobs_jobblob needed WHERE needed.unit_id = u.id),
       coalesce((SELECT h.identity FROM blobs_hub h), ''), u.once, {_ANSWER}
FROM chosen LEFT JOIN (taken u CROSS JOIN tried JOIN jobs_job j ON j.id = u.job_id) ON true
"""

CLAIM = StoredStatement(
    "jobs_claim",
    parameters={
        "hint": "bigint",
        "only_job": "bigint",
        "only_stage": "text",
        "node": "bigint",
        "node_name": "text",
        "instance": "uuid",
        "boot_id": "text",
        "lease": "float8",
        "capabilities": "text[]",
        "kinds": "text[]",
        "contracts": "text[]",
        "light_kinds": "text[]",
        "light_stages": "text[]",
        "passed_light": "bigint[]",
        "passed": "bigint[]",
    },
    columns={
        "chosen_job": "bigint",
        "is_light": "boolean",
        "unit_id": "bigint",
        "attempt_id": "bigint",
        "key": "uuid",
        "attempt_number": "integer",
        "stage": "varchar",
        "ordinal": "integer",
        "payload": "jsonb",
        "minimum_rung": "integer",
        "job_id": "bigint",
        "job_key": "uuid",
        "kind": "varchar",
        "parameters": "jsonb",
        "language": "varchar",
        "engine": "varchar",
        "model": "varchar",
        "blobs": "varchar[]",
        "hub": "varchar",
        "once": "boolean",
        "answer": "jsonb",
    },
    query=_QUERY,
)


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
    once: bool = False
    """Whether nobody may do it a second time unless a person says so."""
    answer: Answer | None = None
    """What a person chose when it last asked."""


_COLUMNS = tuple(column.name for column in fields(Claimed))
"""In the order of the statement's."""


@dataclass(frozen=True, slots=True)
class CanvasPlace:
    """What a message of a canvas asks for: units of one stage of one job, while it is that job's turn."""

    job_id: int
    stage: str


@dataclass(frozen=True, slots=True)
class Claimant:
    """The node that claims, as the ledger knows it."""

    node_id: int
    node_name: str
    instance: UUID
    boot_id: str
    capabilities: Sequence[str]
    lease_seconds: float


def claim(claimant: Claimant, hint: int | None, place: CanvasPlace | None = None) -> Claimed | None:
    """Takes the first unit in line that this node is eligible for; None when there is none.

    The hint only chooses among the units of the job whose turn it is. A place takes nothing but its own stage's, and
    nothing while it is another job's turn. Where other nodes took all that the chosen job
    had, between the choice and the lock, the next job is looked for.
    """
    passed: dict[bool, list[int]] = {True: [], False: []}
    light = light_stages()
    while True:
        rows = CLAIM.fetch(
            hint=hint,
            only_job=place.job_id if place else None,
            only_stage=place.stage if place else None,
            node=claimant.node_id,
            node_name=claimant.node_name,
            instance=claimant.instance,
            boot_id=claimant.boot_id,
            lease=claimant.lease_seconds,
            capabilities=list(claimant.capabilities),
            **known_here(),
            light_kinds=[kind for kind, _ in light],
            light_stages=[stage for _, stage in light],
            passed_light=passed[True],
            passed=passed[False],
        )
        if not rows:
            return None
        job_id, is_light, *row = rows[0]
        if row[0] is not None:
            job_changed(job_id)
            return _claimed(row)
        if place is not None:
            return None
        passed[is_light].append(job_id)


def _claimed(row: Sequence[Any]) -> Claimed:
    values = dict(zip(_COLUMNS, row, strict=True))
    answer = values["answer"]
    values["answer"] = Answer.from_json(_object(answer)) if answer is not None else None
    return Claimed(**values | {name: _object(values[name]) for name in ("payload", "parameters")})


def _object(value: Any) -> Mapping[str, Any]:
    # Django leaves jsonb as text on raw cursors so that model fields can choose their decoder.
    decoded: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value
    return decoded
