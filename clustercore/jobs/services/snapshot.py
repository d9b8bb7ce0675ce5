"""A job as whoever decides what follows must see it: in one statement, however many units it has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.progression import Counts
from clustercore.jobs.services.turn_locks import alone

# What `MAY_OPEN` leaves out would go on to wait, and thousands of such are neither read nor locked.
MAY_OPEN = "(open_inputs = 0 OR join_until <= statement_timestamp() OR (quorum IS NOT NULL AND done_inputs > 0))"

_QUERY = f"""
SELECT coalesce((SELECT jsonb_object_agg(stage, states) FROM (
           SELECT stage, jsonb_object_agg(state, number) AS states FROM (
               SELECT stage, state, count(*) AS number FROM jobs_unit WHERE job_id = %(job)s::bigint GROUP BY 1, 2
           ) counted GROUP BY 1) by_stage), '{{}}'),
       coalesce((SELECT jsonb_agg(DISTINCT jsonb_build_array(stage, "group")) FROM jobs_unitafter
                 WHERE job_id = %(job)s::bigint AND after_id IS NULL AND outcome = 'open'), '[]'),
       coalesce((SELECT jsonb_agg(jsonb_build_array(e.stage, u.id)) FROM jobs_unitafter e
                 JOIN jobs_unit u ON u.id = e.unit_id
                 WHERE e.job_id = %(job)s::bigint AND e.after_id IS NULL AND e.outcome = 'open' AND e."group" = ''
                 AND u.state = 'blocked' AND u.unsent), '[]'),
       (SELECT count(*) FROM jobs_unit
        WHERE job_id = %(job)s::bigint AND state = 'blocked' AND join_until IS NOT NULL),
       EXISTS (SELECT FROM jobs_unit WHERE job_id = %(job)s::bigint AND state = 'blocked' AND {MAY_OPEN})
"""
_PARAMETERS = {"job": "bigint"}
_COLUMNS = {"counts": "jsonb", "awaited": "jsonb", "unsent": "jsonb", "timed": "bigint", "may_open": "boolean"}

SNAPSHOT = StoredStatement("jobs_snapshot", parameters=_PARAMETERS, columns=_COLUMNS, query=_QUERY)
SNAPSHOT_ALONE = StoredStatement(
    "jobs_snapshot_alone",
    parameters=_PARAMETERS,
    columns=_COLUMNS,
    first=f"SELECT {alone('%(job)s::bigint')}",
    query=_QUERY,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What decides how a job goes on."""

    counts: Counts
    """Units by stage and state."""
    awaited: list[tuple[str, str]]
    """The stages, and the groups of them or none, that open units wait for to be over; in order."""
    unsent: list[tuple[str, int]]
    """The units that wait for a whole stage and for which no message is on its way, each with its stage."""
    timed: int
    """How many blocked units open by themselves at a time."""
    may_open: bool
    """Whether any blocked unit may be opened, or fail, now."""


def snapshot_of(job_id: int) -> Snapshot:
    """Reads it; what others complete beside at this moment may or may not be in it."""
    return _from_row(SNAPSHOT.fetch(job=job_id)[0])


def final_snapshot_of(job_id: int) -> Snapshot:
    """Reads it as it stays until the transaction ends, once all that is completed beside has come in.

    Needs the job's row lock.
    """
    return _from_row(SNAPSHOT_ALONE.fetch(job=job_id)[0])


def _from_row(row: tuple[Any, ...]) -> Snapshot:
    # Django has JSON come as text.
    counts, awaited, unsent = map(json.loads, row[:3])
    timed, may_open = row[3:]
    return Snapshot(counts, sorted(map(tuple, awaited)), sorted(map(tuple, unsent)), timed, may_open)
