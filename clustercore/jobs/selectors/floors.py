"""Reading which nodes there are for the floors of running jobs."""

from __future__ import annotations

from django.db import connection

from clustercore.jobs.domain.floor import FloorSeen
from clustercore.jobs.selectors.eligibility import LIVE, THERE, best_rung

# Ranked work that is in line or in hand. What is not known yet of its needs would let nodes count that turn out not to
# meet them. The nodes are looked at once for all jobs that ask the same. Those whose floor is reached, as most are, and
# those for which nobody is there yet, are left out here: nothing changes for them.
_QUERY = f"""
    WITH asking AS MATERIALIZED (
        SELECT r.job_id, w.stage, w.contract, w.capability, w.needs, w.prefers
        FROM jobs_ready r JOIN jobs_demand w ON w.id = r.demand_id WHERE w.ranked
        UNION
        SELECT u.job_id, u.stage, u.contract, u.capability, u.needs, u.prefers
        FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id
        WHERE a.outcome = 'live' AND u.state = 'leased' AND u.ranked
    ), open AS MATERIALIZED (
        SELECT DISTINCT ON (j.id) j.id, j.floor, j.critical_accuracy, j.floor_unserved_since, j.kind, a.stage,
            a.contract, a.capability, a.needs, a.prefers, j.engine, j.model, j.needs AS job_needs,
            coalesce(j.created + least(j.accept_lower_after, 1e9) * interval '1 second' <= now(), false) AS any_serves
        FROM asking a JOIN jobs_job j ON j.id = a.job_id
        WHERE j.state = 'running' AND j.engine = '' AND j.min_rung IS NULL AND coalesce(j.floor, 1) > 0
        ORDER BY j.id, a.stage, a.contract, a.capability, a.needs, a.prefers
    ), best AS MATERIALIZED (
        SELECT d.*, {best_rung(THERE)} AS there, {best_rung(LIVE)} AS taking
        FROM (SELECT DISTINCT kind, stage, contract, capability, needs, prefers, engine, model, job_needs FROM open) d
    )
    SELECT o.id, o.floor, o.critical_accuracy, best.there, best.taking,
        extract(epoch FROM now() - o.floor_unserved_since)::float8, o.any_serves
    FROM open o JOIN best ON
        (o.kind, o.stage, o.contract, o.capability, o.needs, o.prefers, o.engine, o.model)
        = (best.kind, best.stage, best.contract, best.capability, best.needs, best.prefers, best.engine, best.model)
        AND o.job_needs IS NOT DISTINCT FROM best.job_needs
    WHERE o.any_serves OR o.job_needs IS NOT NULL AND CASE
        WHEN o.floor IS NULL THEN best.there IS NOT NULL
        ELSE o.floor_unserved_since IS NOT NULL OR best.taking IS NULL OR best.taking < o.floor END"""


def floors_seen() -> list[FloorSeen]:
    """The running jobs whose floor is not decided, or that nobody reached of late, and who is there for them."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERY)
        return [FloorSeen(*row) for row in cursor.fetchall()]
