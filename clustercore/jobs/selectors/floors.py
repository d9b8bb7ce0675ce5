"""Reading which nodes there are for the floors of running jobs."""

from __future__ import annotations

from django.db import connection

from clustercore.jobs.domain.floor import FloorSeen
from clustercore.jobs.selectors.eligibility import LIVE, THERE, best_rung

# A ranked unit that somebody has in hand, else the next one in line if that is ranked: both are found by an index. A
# language that is not known yet would let nodes count that turn out not to hear it.
_QUERY = f"""
    SELECT j.id, j.floor, j.critical_accuracy, {best_rung(THERE)}, {best_rung(LIVE)},
        extract(epoch FROM now() - j.floor_unserved_since)::float8
    FROM jobs_job j CROSS JOIN LATERAL (
        (SELECT * FROM jobs_unit u WHERE u.job_id = j.id AND u.state = 'leased' AND u.ranked LIMIT 1)
        UNION ALL
        (SELECT * FROM (SELECT * FROM jobs_unit u WHERE u.job_id = j.id AND u.state = 'queued'
                        ORDER BY u.id LIMIT 1) u WHERE u.ranked)
        LIMIT 1
    ) u
    WHERE j.state = 'running' AND j.engine = '' AND j.min_rung IS NULL AND j.language IS NOT NULL
      AND coalesce(j.floor, 1) > 0"""


def floors_seen() -> list[FloorSeen]:
    """The running jobs that have a floor above the lowest, or none yet, and who is there for them."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERY)
        return [FloorSeen(*row) for row in cursor.fetchall()]
