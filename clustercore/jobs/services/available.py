"""What waits for a node, as it looks for work once a second: nothing is locked or planned for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.selectors.eligibility import (
    ABLE,
    CONTRACT,
    ELIGIBLE,
    HERE,
    IN_ORDER,
    QUEUED,
    STILL_ASKED,
    THERE,
    WITH_FLOOR,
    known_here,
    serves,
)

_NODE = {"node": "bigint", "capabilities": "text[]", "contracts": "text[]"}
_WAITING = {"unit_id": "bigint", "kind": "varchar", "stage": "varchar"}

AVAILABLE = StoredStatement(
    "jobs_available",
    parameters=_NODE | {"limit": "bigint"},
    columns=_WAITING,
    query=f"""
WITH d AS MATERIALIZED ({HERE})
SELECT u.id, d.kind, d.stage FROM d CROSS JOIN LATERAL (
    SELECT r.job_id, r.priority, u.id, u.priority AS within
    FROM jobs_ready r CROSS JOIN LATERAL {STILL_ASKED} j CROSS JOIN LATERAL (
        SELECT u.id, u.priority FROM jobs_unit u WHERE {QUEUED} AND {ELIGIBLE} {IN_ORDER} LIMIT %(limit)s::bigint
    ) u
    WHERE r.demand_id = d.id AND r.is_due ORDER BY r.priority DESC, r.job_id LIMIT %(limit)s::bigint
) u
ORDER BY u.priority DESC, u.job_id, u.within DESC, u.id LIMIT %(limit)s::bigint
""",
)

BELOW_FLOOR = StoredStatement(
    "jobs_below_floor",
    parameters=_NODE,
    columns={
        "capability": "varchar",
        "floor": "integer",
        "best_here": "text",
        "best_anywhere": "text",
        "best_node": "varchar",
        "kind": "varchar",
    },
    query=f"""
SELECT DISTINCT ON (d.capability) d.capability, d.floor,
    coalesce((SELECT m.engine || ':' || m.model FROM nodes_nodemodel m
              WHERE m.node_id = %(node)s::bigint AND m.usable AND m.capability = d.capability
              ORDER BY m.rung DESC LIMIT 1), 'nothing'),
    coalesce(best.label, 'what was asked for'), coalesce(best.node, ''), d.kind
FROM {WITH_FLOOR} d
LEFT JOIN LATERAL (
    SELECT b.engine || ':' || b.model AS label, n.name AS node
    FROM nodes_nodemodel b JOIN nodes_node n ON n.id = b.node_id
    WHERE {THERE} AND {serves("b")} AND b.rung >= d.floor ORDER BY b.rung DESC LIMIT 1) best ON true
WHERE d.ranked AND d.capability = ANY(%(capabilities)s::text[]) AND {CONTRACT} = ANY(%(contracts)s::text[])
  AND NOT {ABLE} AND EXISTS (SELECT FROM jobs_ready r WHERE r.demand_id = d.id AND r.is_due)
ORDER BY d.capability, d.id
""",
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A unit that a node could claim now, and the bell that belongs to it."""

    unit_id: int
    kind: str
    stage: str


def claimable(node_id: int, capabilities: Sequence[str], limit: int) -> list[Waiting]:
    """Up to `limit` units that the node may have now, those of the first jobs in line."""
    rows = AVAILABLE.fetch(node=node_id, capabilities=list(capabilities), limit=limit, **known_here())
    return [Waiting(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class BelowFloor:
    """Why waiting work is not for a node: its best rung against the floor, and who sets the floor."""

    capability: str
    floor: int
    best_here: str
    best_anywhere: str
    best_node: str
    kind: str


def below_floor(node_id: int, capabilities: Sequence[str]) -> list[BelowFloor]:
    """For each capability with waiting ranked work whose floor is above this node's best rung: the comparison."""
    rows = BELOW_FLOOR.fetch(node=node_id, capabilities=list(capabilities), **known_here())
    return [BelowFloor(*row) for row in rows]
