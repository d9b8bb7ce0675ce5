"""Reading the ledger, and the one definition of which unit a node may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from clustercore.jobs.domain.kinds import kinds, known_contracts

THERE = "n.online AND NOT n.drained"
"""SQL: whether node n works for this cluster, though it may be held for a while."""
LIVE = f"{THERE} AND n.hold_reason = ''"
# A text, so that a node's list is one array: as `known_contracts` writes it.
CONTRACT = "(j.kind || '/' || u.stage || '/' || u.contract)"
_KNOWN = f"{CONTRACT} = ANY(%(contracts)s::text[])"


def serves(model: str) -> str:
    """SQL: whether inventory row `model` may serve unit u of job j, rungs aside."""
    return f"""
        {model}.usable AND {model}.capability = u.capability
        AND (j.engine = '' OR {model}.engine = j.engine) AND (j.model = '' OR {model}.model = j.model)
        AND CASE WHEN j.language = '' THEN true
                 WHEN j.language IS NOT NULL
                 THEN j.language = ANY({model}.languages) OR '*' = ANY({model}.languages)
                 ELSE {model}.detects_language OR NOT EXISTS (
                     SELECT 1 FROM nodes_nodemodel d JOIN nodes_node n ON n.id = d.node_id
                     WHERE {LIVE} AND d.usable AND d.capability = u.capability AND d.detects_language
                       AND (j.engine = '' OR d.engine = j.engine) AND (j.model = '' OR d.model = j.model))
            END"""


def best_rung(nodes: str) -> str:
    """SQL: the best rung at which one of these nodes n could serve unit u of job j; NULL where none can."""
    return f"""(
        SELECT max(b.rung) FROM nodes_nodemodel b JOIN nodes_node n ON n.id = b.node_id
        WHERE {nodes} AND {CONTRACT} = ANY(n.contracts) AND {serves("b")})"""


def _excluded(node: str) -> str:
    """SQL: whether unit u may not go to that node for now; an exclusion ends by itself."""
    return f"({node} = ANY(u.excluded_nodes) AND coalesce(u.excluded_until > now(), false))"


# The lowest rung that may serve unit u of job j: what was asked for, else what was decided for the job (see
# domain/floor.py), and before that is done the same by who is there now.
FLOOR = f"""
    CASE WHEN NOT u.ranked THEN 0 ELSE coalesce(
        u.min_rung,
        j.min_rung,
        CASE WHEN j.engine <> '' THEN 0 END,
        CASE WHEN j.created + least(j.accept_lower_after, 1e9) * interval '1 second' <= now() THEN 0 END,
        j.floor,
        greatest(0, {best_rung(THERE)} - CASE WHEN j.critical_accuracy THEN 0 ELSE 1 END),
        0
    ) END"""

_ABLE = f"""
    (NOT u.ranked OR EXISTS (
        SELECT 1 FROM nodes_nodemodel m WHERE m.node_id = %(node)s::bigint AND {serves("m")} AND m.rung >= {FLOOR}))"""

ELIGIBLE = f"""
    u.state = 'queued' AND u.capability = ANY(%(capabilities)s::text[])
    AND (u.run_after IS NULL OR u.run_after <= now())
    AND (u.deadline IS NULL OR u.deadline > now())
    AND NOT {_excluded("%(node)s::bigint")}
    AND (u.avoid_node_id IS DISTINCT FROM %(node)s::bigint OR u.avoid_until <= now())
    AND {_KNOWN}
    AND {_ABLE}"""

# Running jobs in their order, and the units of one of them in theirs. The range instead of an equation keeps the
# planner from walking the primary key in search of a job's first unit when one job holds most of the table. The units
# of a job whose kind is not known are not even looked at.
RUNNING_IN_ORDER = """(
    SELECT * FROM jobs_job WHERE state = 'running' AND kind = ANY(%(kinds)s::text[]) ORDER BY priority DESC, id) j"""
UNITS_IN_ORDER = f"jobs_unit u WHERE u.job_id BETWEEN j.id AND j.id AND {ELIGIBLE}"
BY_UNIT = "ORDER BY u.job_id, u.priority DESC, u.id"


def known_here() -> dict[str, list[str]]:
    """What this process knows, as the parameters by which `ELIGIBLE` and `RUNNING_IN_ORDER` ask for it."""
    return {"kinds": [kind.name for kind in kinds()], "contracts": list(known_contracts())}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A unit that a node could claim now, and the bell that belongs to it."""

    unit_id: int
    kind: str
    stage: str


def claimable(node_id: int, capabilities: Sequence[str], limit: int, *, interrupted: bool = False) -> list[Waiting]:
    """Up to `limit` units that the node may have now, those of the first jobs in line.

    With `interrupted` only those that were tried before: their bells are spent.
    """
    tried = "AND u.attempts_made > 0" if interrupted else ""
    query = f"""
        SELECT u.id, j.kind, u.stage FROM {RUNNING_IN_ORDER} CROSS JOIN LATERAL (
            SELECT u.id, u.stage, u.priority FROM {UNITS_IN_ORDER} {tried} {BY_UNIT} LIMIT %(limit)s
        ) u
        ORDER BY j.priority DESC, j.id, u.priority DESC, u.id LIMIT %(limit)s"""
    with connection.cursor() as cursor:
        cursor.execute(query, {"node": node_id, "capabilities": list(capabilities), "limit": limit, **known_here()})
        return [Waiting(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class BelowFloor:
    """Why waiting work is not for a node: its best rung against the floor, and who sets the floor."""

    capability: str
    floor: int
    best_here: str
    best_anywhere: str
    best_node: str


def below_floor(node_id: int, capabilities: Sequence[str]) -> list[BelowFloor]:
    """For each capability with waiting ranked work whose floor is above this node's best rung: the comparison."""
    query = f"""
        SELECT DISTINCT ON (u.capability) u.capability, {FLOOR},
            coalesce((SELECT m.engine || ':' || m.model FROM nodes_nodemodel m
                      WHERE m.node_id = %(node)s::bigint AND m.usable AND m.capability = u.capability
                      ORDER BY m.rung DESC LIMIT 1), 'nothing'),
            coalesce(best.label, 'what was asked for'), coalesce(best.node, '')
        FROM jobs_unit u JOIN jobs_job j ON j.id = u.job_id
        LEFT JOIN LATERAL (
            SELECT b.engine || ':' || b.model AS label, n.name AS node
            FROM nodes_nodemodel b JOIN nodes_node n ON n.id = b.node_id
            WHERE {THERE} AND {serves("b")} AND b.rung >= {FLOOR} ORDER BY b.rung DESC LIMIT 1) best ON true
        WHERE j.state = 'running' AND u.state IN ('queued', 'leased') AND u.ranked
          AND u.capability = ANY(%(capabilities)s::text[]) AND {_KNOWN} AND NOT {_ABLE}
        ORDER BY u.capability, u.id"""
    with connection.cursor() as cursor:
        cursor.execute(query, {"node": node_id, "capabilities": list(capabilities), **known_here()})
        return [BelowFloor(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Stuck:
    """A running job of which nothing runs, and what its next unit needs."""

    job_id: int
    waiting: str
    contract: str
    """What a node must know: "kind/stage/number"."""
    capability: str
    language: str | None
    engine: str
    model: str
    ranked: bool
    floor: int
    may_fall: bool
    """Whether that floor falls when nobody reaches it for long; not one that somebody asked for."""
    nodes_online: int
    nodes_with_contract: int
    nodes_with_capability: int
    nodes_able: int
    refused: str
    """What the last node said that tried it and may not try again for now; empty when none did."""
    holds: str
    """Which nodes are online and take nothing, and why."""


def jobs_without_a_running_unit() -> list[Stuck]:
    """Running jobs with queued and due, but no leased units, with the count of nodes that could take the next."""
    query = f"""
        SELECT j.id, j.waiting, {CONTRACT}, u.capability, j.language, j.engine, j.model, u.ranked, {FLOOR},
            j.floor IS NOT NULL AND j.min_rung IS NULL AND u.min_rung IS NULL,
            (SELECT count(*) FROM nodes_node n WHERE {LIVE}),
            (SELECT count(*) FROM nodes_node n WHERE {LIVE} AND {CONTRACT} = ANY(n.contracts)),
            (SELECT count(*) FROM nodes_node n WHERE {LIVE} AND u.capability = ANY(n.capabilities)),
            (SELECT count(*) FROM nodes_node n WHERE {LIVE} AND u.capability = ANY(n.capabilities)
               AND {CONTRACT} = ANY(n.contracts) AND NOT {_excluded("n.id")}
               AND (NOT u.ranked OR EXISTS (SELECT 1 FROM nodes_nodemodel m
                    WHERE m.node_id = n.id AND {serves("m")} AND m.rung >= {FLOOR}))),
            CASE WHEN cardinality(u.excluded_nodes) > 0 AND u.excluded_until > now() THEN u.error ELSE '' END,
            (SELECT coalesce(string_agg(n.name || ': ' || n.hold_reason, '; ' ORDER BY n.name), '')
             FROM nodes_node n WHERE n.online AND n.hold_reason NOT IN ('', 'starting'))
        FROM jobs_job j CROSS JOIN LATERAL (
            SELECT * FROM jobs_unit u WHERE u.job_id = j.id AND u.state = 'queued'
              AND (u.run_after IS NULL OR u.run_after <= now()) ORDER BY u.id LIMIT 1) u
        WHERE j.state = 'running'
          AND NOT EXISTS (SELECT 1 FROM jobs_unit l WHERE l.job_id = j.id AND l.state = 'leased')"""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [Stuck(*row) for row in cursor.fetchall()]
