"""Claim: one statement takes the best unit that this node may have, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple
from uuid import UUID

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.kinds import light_stages
from clustercore.jobs.domain.questions import Answer
from clustercore.jobs.selectors.eligibility import (
    DUE,
    ELIGIBLE,
    HERE,
    IN_ORDER,
    QUEUED,
    STILL_ASKED,
    known_here,
)
from clustercore.jobs.services.mishaps import HUB_AWAY
from clustercore.jobs.services.telling import job_changed

# THE ORDER OF WORK, here and nowhere else:
#   1. the job's priority (whose owner has the fewest places in use would come next),
#   2. a light unit (`Stage.light`: it finishes a begun job, or is nearly free),
#   3. the oldest job,
#   4. the order of the units within their job. So what was lost is done before what was not begun yet.
# For each demand that this node may serve the first job in line is looked up, without a lock, and the best of these few
# is chosen: what it costs does not depend on how many jobs there are. Its unit is then taken under a lock. What is put
# as IS TRUE or + 0 must be no reason for an index: a kept plan may be of a time when there was little of anything.
# A node that this ledger does not know by its instance gets nothing: after a restore its number may be another's.
_FIRST_OF_EACH = f"""
    SELECT d.*, u.* FROM d CROSS JOIN LATERAL (
        SELECT r.job_id, r.priority, r.queued_by, u.id AS unit_id, u.priority AS within
        FROM jobs_ready r CROSS JOIN LATERAL {STILL_ASKED} j CROSS JOIN LATERAL (
            SELECT u.id, u.priority FROM jobs_unit u WHERE {QUEUED} AND {ELIGIBLE} {IN_ORDER} LIMIT 1
        ) u
        WHERE r.demand_id = d.id AND r.is_due AND r.job_id <> ALL(d.passed)
        ORDER BY r.priority DESC, r.job_id LIMIT 1
    ) u"""
_IN_LINE = "priority DESC, is_light DESC, job_id, within DESC, unit_id"
# A place takes a unit of its stage only when it is its job's turn: then that job is the first of that demand too.
_CHOSEN = f"""
    SELECT * FROM (SELECT f.*, first_value(unit_id) OVER (ORDER BY {_IN_LINE}) AS best FROM first_of_each f) f
    WHERE %(only_job)s::bigint IS NULL
       OR f.stage = %(only_stage)s::text AND f.job_id = %(only_job)s::bigint AND NOT f.is_light AND EXISTS (
           SELECT FROM first_of_each b WHERE b.unit_id = f.best AND b.job_id = f.job_id AND NOT b.is_light)
    ORDER BY {_IN_LINE} LIMIT 1"""
_FIRST = f"""
    SELECT u.id, d.id AS demand_id FROM chosen d CROSS JOIN LATERAL (SELECT d.job_id) r CROSS JOIN LATERAL (
        SELECT u.id FROM jobs_unit u WHERE {QUEUED} AND {ELIGIBLE} {IN_ORDER} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ) u"""

# Whoever takes the last unit that is due removes the job from the list, or puts it off until the next one is; likewise
# those in line before it of which others have taken the last ones at the same time. It never waits for such a row:
# what somebody else has in hand is left to the sweep. The row's newest version must be of the transaction that was seen
# here, else somebody has queued more meanwhile.
_EMPTIED = f"""
    SELECT r.job_id, r.demand_id, later.due_at
    FROM taken JOIN first_of_each d ON d.id = taken.demand_id CROSS JOIN LATERAL (
        SELECT d.job_id, d.queued_by
        UNION ALL
        SELECT first.job_id, first.queued_by FROM (
            SELECT r.job_id, r.priority, r.queued_by FROM jobs_ready r WHERE r.demand_id = d.id AND r.is_due
            ORDER BY r.priority DESC, r.job_id LIMIT 3
        ) first WHERE first.priority > d.priority OR first.priority = d.priority AND first.job_id < d.job_id
    ) seen
    JOIN jobs_ready r ON r.job_id = seen.job_id AND r.demand_id = d.id AND r.queued_by = seen.queued_by
    CROSS JOIN LATERAL (
        SELECT (SELECT u.id FROM jobs_unit u WHERE {QUEUED} AND {DUE} AND u.id <> taken.id {IN_ORDER} LIMIT 1) AS next
        OFFSET 0
    ) due
    CROSS JOIN LATERAL (SELECT min(u.run_after) AS due_at FROM jobs_unit u WHERE {QUEUED} AND u.id <> taken.id) later
    WHERE due.next IS NULL
    FOR UPDATE OF r SKIP LOCKED"""

# Of the last time that it asked: what was approved before that may have been something else.
_ANSWER = """
    (SELECT CASE WHEN q.answer <> '' THEN jsonb_build_object(
         'option', q.answer, 'by', q.answered_by, 'bound_to', q.bound_to, 'at', q.answered) END
     FROM jobs_question q WHERE q.unit_id = u.id AND NOT q.of_outcome ORDER BY q.id + 0 DESC LIMIT 1)"""

_QUERY = f"""
WITH d AS MATERIALIZED (
    SELECT d.*, EXISTS (
               SELECT FROM unnest(%(light_kinds)s::text[], %(light_stages)s::text[]) AS light(kind, stage)
               WHERE light.kind = d.kind AND light.stage = d.stage) AS is_light,
           ARRAY(SELECT passed.job_id
                 FROM unnest(%(passed_jobs)s::bigint[], %(passed_demands)s::bigint[]) AS passed(job_id, demand_id)
                 WHERE passed.demand_id = d.id) AS passed
    FROM ({HERE}) d
    WHERE (SELECT NOT n.drained FROM nodes_node n WHERE n.id = %(node)s::bigint AND n.instance = %(instance)s::uuid)
), first_of_each AS MATERIALIZED ({_FIRST_OF_EACH}),
chosen AS MATERIALIZED ({_CHOSEN}),
locked AS MATERIALIZED ({_FIRST}), taken AS (
    UPDATE jobs_unit
    SET state = 'leased', leased_at = now(), attempts_made = attempts_made + 1, progress = 0, hold_reason = '',
        avoid_node_id = NULL, avoid_until = NULL
    FROM locked
    WHERE jobs_unit.id = locked.id AND (jobs_unit.state = 'queued') IS TRUE
    RETURNING jobs_unit.*, locked.demand_id
), tried AS (
    INSERT INTO jobs_attempt
        (unit_id, number, node_id, node_name, instance, boot_id, outcome, lease_until, started, reason, served_by,
         fenced_results)
    SELECT id, attempts_made, %(node)s::bigint, %(node_name)s::text, %(instance)s::uuid, %(boot_id)s::text, 'live',
           now() + %(lease)s::float8 * interval '1 second', now(), '', '{{}}', 0
    FROM taken
    RETURNING id, key
), emptied AS MATERIALIZED ({_EMPTIED}),
removed AS (
    DELETE FROM jobs_ready r USING emptied e
    WHERE e.due_at IS NULL AND r.job_id = e.job_id AND r.demand_id = e.demand_id
), put_off AS (
    UPDATE jobs_ready r SET is_due = false, due_at = e.due_at FROM emptied e
    WHERE e.due_at IS NOT NULL AND r.job_id = e.job_id AND r.demand_id = e.demand_id
)
SELECT chosen.job_id, chosen.id,
       u.id, tried.id, tried.key, u.attempts_made, u.stage, u.ordinal, u.payload,
       f.floor,
       j.id, j.key, j.kind, j.parameters, j.language, j.engine, j.model,
       ARRAY(SELECT needed.sha256 FROM jobs_jobblob needed WHERE needed.unit_id = u.id),
       coalesce((SELECT h.identity FROM blobs_hub h), ''), u.once, {_ANSWER},
       f.needs || coalesce(f.job_needs, '{{}}'), f.prefers
FROM chosen LEFT JOIN (
    taken u CROSS JOIN tried JOIN jobs_job j ON j.id = u.job_id JOIN first_of_each f ON f.id = u.demand_id) ON true
"""

CLAIM = StoredStatement(
    "jobs_claim",
    parameters={
        "only_job": "bigint",
        "only_stage": "text",
        "node": "bigint",
        "node_name": "text",
        "instance": "uuid",
        "boot_id": "text",
        "lease": "float8",
        "capabilities": "text[]",
        "contracts": "text[]",
        "light_kinds": "text[]",
        "light_stages": "text[]",
        "passed_jobs": "bigint[]",
        "passed_demands": "bigint[]",
    },
    columns={
        "chosen_job": "bigint",
        "chosen_demand": "bigint",
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
        "needs": "text[]",
        "prefers": "text[]",
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
    needs: Sequence[str] = ()
    """The traits that a model must have for it: the job's and its own."""
    prefers: Sequence[str] = ()
    """The traits that it must have too, unless no live node offers them."""


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


class Passed(NamedTuple):
    """A job of whose demand others took all that it had, between the choice and the lock."""

    job_id: int
    demand_id: int


def claim(claimant: Claimant, place: CanvasPlace | None = None) -> Claimed | None:
    """Takes the first unit in line that this node is eligible for; None when there is none.

    A place takes nothing but its own stage's, and nothing while it is another job's turn. Where other nodes took all
    that the chosen job had, between the choice and the lock, the next job is looked for.
    """
    passed: list[Passed] = []
    while True:
        try:
            rows = CLAIM.fetch(**claim_arguments(claimant, place, passed))
        except HUB_AWAY:
            IN_FLIGHT.lose_reply()
            raise
        found = claimed_from(rows[0]) if rows else None
        if not isinstance(found, Passed):
            if found is not None:
                job_changed(found.job_id)
            return found
        if place is not None:
            return None
        passed.append(found)


def claim_arguments(
    claimant: Claimant, place: CanvasPlace | None = None, passed: Sequence[Passed] = ()
) -> dict[str, Any]:
    """Returns all parameters of `CLAIM`; `passed` are those that are not looked at again."""
    light = light_stages()
    return {
        "only_job": place.job_id if place else None,
        "only_stage": place.stage if place else None,
        "node": claimant.node_id,
        "node_name": claimant.node_name,
        "instance": claimant.instance,
        "boot_id": claimant.boot_id,
        "lease": claimant.lease_seconds,
        "capabilities": list(claimant.capabilities),
        **known_here(),
        "light_kinds": [kind for kind, _ in light],
        "light_stages": [stage for _, stage in light],
        "passed_jobs": [job_id for job_id, _ in passed],
        "passed_demands": [demand_id for _, demand_id in passed],
    }


def claimed_from(row: Sequence[Any]) -> Claimed | Passed | None:
    """Returns what a row of `CLAIM` says: a unit, or who was chosen and had none left; None where nobody was."""
    job_id, demand_id, *unit = row
    if job_id is None:
        return None
    return _claimed(unit) if unit[0] is not None else Passed(job_id, demand_id)


def _claimed(row: Sequence[Any]) -> Claimed:
    values = dict(zip(_COLUMNS, row, strict=True))
    answer = values["answer"]
    values["answer"] = Answer.from_json(_object(answer)) if answer is not None else None
    return Claimed(**values | {name: _object(values[name]) for name in ("payload", "parameters")})


def _object(value: Any) -> Mapping[str, Any]:
    # Django leaves jsonb as text on raw cursors so that model fields can choose their decoder.
    decoded: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value
    return decoded
