"""Which work a node may have, defined once, and what of it waits.

Whether a node may serve is asked of each *demand* (`d`): a few rows, whatever number of jobs and units wait. `Ready`
then names the jobs that have queued units of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from clustercore.jobs.domain.kinds import known_contracts

THERE = "n.online AND NOT n.drained"
"""SQL: whether node n works for this cluster, though it may be held for a while."""
LIVE = f"{THERE} AND n.hold_reason = ''"
# A text, so that a node's list is one array: as `known_contracts` writes it.
CONTRACT = "(d.kind || '/' || d.stage || '/' || d.contract)"


def _meets(model: str, need: str) -> str:
    """SQL: whether inventory row `model` has a trait, or the one that stands for all with its prefix."""
    of_all = f"strpos({need}, ':') > 0 AND split_part({need}, ':', 1) || ':*' = ANY({model}.traits)"
    return f"({need} = ANY({model}.traits) OR {of_all})"


def _offers(model: str) -> str:
    """SQL: whether inventory row `model` is what demand d asks for, and has what that needs."""
    return f"""
        {model}.usable AND {model}.capability = d.capability
        AND (d.engine = '' OR {model}.engine = d.engine) AND (d.model = '' OR {model}.model = d.model)
        AND (d.needs || coalesce(d.job_needs, '{{}}') <@ {model}.traits OR NOT EXISTS (
            SELECT FROM unnest(d.needs || coalesce(d.job_needs, '{{}}')) AS need WHERE NOT {_meets(model, "need")}))"""


def serves(model: str) -> str:
    """SQL: whether inventory row `model` may serve demand d, rungs aside.

    What units prefer is passed over where no live node offers it.
    """
    return f"""
        {_offers(model)}
        AND (d.prefers <@ {model}.traits OR NOT EXISTS (
            SELECT FROM unnest(d.prefers) AS wish WHERE NOT {_meets(model, "wish")} AND EXISTS (
                SELECT FROM nodes_nodemodel x JOIN nodes_node n ON n.id = x.node_id
                WHERE {LIVE} AND {_offers("x")} AND {_meets("x", "wish")})))"""


def best_rung(nodes: str) -> str:
    """SQL: the best rung at which one of these nodes n could serve demand d; NULL where none can."""
    return f"""(
        SELECT max(b.rung) FROM nodes_nodemodel b JOIN nodes_node n ON n.id = b.node_id
        WHERE {nodes} AND {CONTRACT} = ANY(n.contracts) AND {serves("b")})"""


# The lowest rung that may serve demand d: what was asked for or decided for the job (see domain/floor.py), and before
# that is done the same by who is there now.
_FLOOR = f"""
    CASE WHEN NOT d.ranked THEN 0 ELSE coalesce(
        d.min_rung,
        greatest(0, {best_rung(THERE)} - CASE WHEN d.critical_accuracy THEN 0 ELSE 1 END),
        0
    ) END"""
WITH_FLOOR = f"(SELECT d.*, {_FLOOR} AS floor FROM jobs_demand d OFFSET 0)"
"""SQL: all demands with their floors; to be named d."""


def _has_model(node: str) -> str:
    """SQL: whether that node has a model for demand d, which has its floor, or needs none in particular."""
    return f"""
        (NOT d.ranked AND d.needs = '{{}}' AND d.prefers = '{{}}' OR EXISTS (
            SELECT 1 FROM nodes_nodemodel m
            WHERE m.node_id = {node} AND {serves("m")} AND (NOT d.ranked OR m.rung >= d.floor)))"""


ABLE = _has_model("%(node)s::bigint")
"""SQL: whether the node may serve demand d, which has its floor."""

HERE = f"""
    SELECT d.* FROM (
        SELECT d.*, {_FLOOR} AS floor FROM jobs_demand d
        WHERE d.capability = ANY(%(capabilities)s::text[]) AND {CONTRACT} = ANY(%(contracts)s::text[]) OFFSET 0
    ) d WHERE {ABLE}"""
"""SQL: the demands that a node may serve, with their floors."""

# The job is looked at again: whoever queues what a lost node had in hand does not wait for the job's lock, and may have
# made the row by what was asked before.
STILL_ASKED = """(
    SELECT 1 FROM jobs_job j WHERE j.id = r.job_id AND (j.state = 'running') IS TRUE
      AND (NOT d.ranked OR j.engine = d.engine AND j.model = d.model AND j.needs IS NOT DISTINCT FROM d.job_needs)
    LIMIT 1)"""
"""SQL: a row, where the job of ready row r runs and still asks for demand d. As a subquery with a limit it is looked up
for each row, and never joined with all jobs; IS TRUE, or all that run would be read where they were few once."""

QUEUED = """
    u.state = 'queued' AND u.job_id = r.job_id AND u.stage = d.stage AND u.capability = d.capability
    AND u.contract = d.contract AND u.ranked = d.ranked AND u.needs = d.needs AND u.prefers = d.prefers"""
"""SQL: whether unit u is one of those that ready row r of demand d stands for; an index answers it, in their order."""
DUE = "(u.run_after IS NULL OR u.run_after <= now())"
IN_ORDER = "ORDER BY u.priority DESC, u.id"


def _excluded(node: str) -> str:
    """SQL: whether unit u may not go to that node for now; an exclusion ends by itself."""
    return f"({node} = ANY(u.excluded_nodes) AND coalesce(u.excluded_until > now(), false))"


ELIGIBLE = f"""
    {DUE} AND (u.deadline IS NULL OR u.deadline > now()) AND NOT {_excluded("%(node)s::bigint")}
    AND (u.avoid_node_id IS DISTINCT FROM %(node)s::bigint OR u.avoid_until <= now())"""
"""SQL: whether queued unit u of a demand that the node may serve may go to it now."""


def known_here() -> dict[str, list[str]]:
    """What this process knows, as the parameter by which `HERE` asks for it."""
    return {"contracts": list(known_contracts())}


@dataclass(frozen=True, slots=True)
class Stuck:
    """A running job of which nothing runs, and what its next unit needs."""

    job_id: int
    waiting: str
    contract: str
    """What a node must know: "kind/stage/number"."""
    capability: str
    needs: Sequence[str]
    """The traits that a model must have, and those that it should."""
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


# The nodes are counted once for each demand. Only a unit that was refused looks at those that may take it anew.
_STUCK = f"""
    WITH d AS MATERIALIZED (
        SELECT d.*, {CONTRACT} AS known_as,
            (SELECT count(*) FROM nodes_node n WHERE {LIVE} AND {CONTRACT} = ANY(n.contracts)) AS with_contract,
            (SELECT count(*) FROM nodes_node n WHERE {LIVE} AND d.capability = ANY(n.capabilities)) AS with_capability,
            ARRAY(SELECT n.id FROM nodes_node n WHERE {LIVE} AND d.capability = ANY(n.capabilities)
                  AND {CONTRACT} = ANY(n.contracts)
                  AND {_has_model("n.id")}) AS able
        FROM {WITH_FLOOR} d WHERE d.id IN (SELECT demand_id FROM jobs_ready WHERE is_due)
    )
    SELECT DISTINCT ON (j.id) j.id, j.waiting, d.known_as, d.capability,
        d.needs || coalesce(d.job_needs, '{{}}') || d.prefers, j.engine, j.model, d.ranked,
        d.floor, j.floor IS NOT NULL AND j.min_rung IS NULL, (SELECT count(*) FROM nodes_node n WHERE {LIVE}),
        d.with_contract, d.with_capability,
        CASE WHEN u.excluded_until > now()
             THEN (SELECT count(*) FROM unnest(d.able) n(id) WHERE NOT {_excluded("n.id")})
             ELSE cardinality(d.able) END,
        CASE WHEN cardinality(u.excluded_nodes) > 0 AND u.excluded_until > now() THEN u.error ELSE '' END,
        (SELECT coalesce(string_agg(n.name || ': ' || n.hold_reason, '; ' ORDER BY n.name), '')
         FROM nodes_node n WHERE n.online AND n.hold_reason NOT IN ('', 'starting'))
    FROM jobs_ready r JOIN d ON d.id = r.demand_id JOIN jobs_job j ON j.id = r.job_id CROSS JOIN LATERAL (
        SELECT * FROM jobs_unit u WHERE {QUEUED} AND {DUE} {IN_ORDER} LIMIT 1) u
    WHERE r.is_due AND j.state = 'running'
      AND NOT EXISTS (SELECT 1 FROM jobs_unit l WHERE l.job_id = j.id AND l.state = 'leased')
    ORDER BY j.id, u.id"""


def jobs_without_a_running_unit() -> list[Stuck]:
    """Running jobs with queued and due, but no leased units, with the count of nodes that could take the next."""
    with connection.cursor() as cursor:
        cursor.execute(_STUCK)
        return [Stuck(*row) for row in cursor.fetchall()]
