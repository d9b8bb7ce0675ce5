"""Reading the database's clock beside this machine's own, which nobody sets."""

from __future__ import annotations

from django.db import connection

from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.counters import CLOCK_MILLISECONDS
from clustercore.nodes.adapters.elapsed import elapsed_seconds

_READ = """
SELECT extract(epoch FROM clock_timestamp())::float8, extract(epoch FROM pg_postmaster_start_time())::float8,
       coalesce((SELECT value FROM jobs_counter WHERE name = %s), 0)
"""


def read_clocks() -> ClockReading:
    """Both clocks now. Raises what Django raises while the database is away."""
    connection.ensure_connection()
    with connection.cursor() as cursor:
        before = elapsed_seconds()
        cursor.execute(_READ, [CLOCK_MILLISECONDS])
        database, server_started, steps = cursor.fetchone()
        after = elapsed_seconds()
    return ClockReading(
        database=database,
        elapsed=(before + after) / 2,
        uncertainty=(after - before) / 2,
        server_started=server_started,
        steps=steps / 1000,
    )
