"""How many units wait for nodes, which is asked before each submission."""

from __future__ import annotations

from django.db import connection

from clustercore.jobs.domain.lifecycle import BACKLOG_UNIT_STATES
from clustercore.jobs.selectors.remembered import Remembered

LARGE = 50_000
"""From this limit on the number may be some seconds old: what comes in meanwhile is little beside it."""

_WAITING = f"""
SELECT (SELECT count(*) FROM jobs_unit WHERE state IN ({", ".join(f"'{state}'" for state in BACKLOG_UNIT_STATES)}))
     - (SELECT count(*) FROM jobs_question WHERE answer = '' AND withdrawn IS NULL)
"""


def units_waiting(limit: int) -> int:
    """Returns how many units wait for nodes, and not for a person, to be compared with a limit.

    Counting reads all of them. Where the limit is `LARGE` it is done by one thread of a process every few seconds, and
    as many more than the limit may come in as are submitted in that time.
    """
    return _REMEMBERED.of(0) if limit >= LARGE else _count(0)


def _count(_: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return int(cursor.fetchone()[0])


_REMEMBERED = Remembered(_count)
