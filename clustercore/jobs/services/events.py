"""What happened, in the words a person reads, and the counts that nothing resets."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection
from django.db.models.functions import Now

from clustercore.jobs.domain.counters import SHARE
from clustercore.jobs.models import JobEvent
from clustercore.jobs.services.telling import job_changed


def record_event(job_id: int, name: str, text: str, *, unit_id: int | None = None, node_name: str = "") -> None:
    """Adds one line to a job's story, in the caller's transaction."""
    JobEvent.objects.create(job_id=job_id, unit_id=unit_id, at=Now(), name=name, text=text, node_name=node_name)
    job_changed(job_id)


def record_events(job_id: int, name: str, texts: Mapping[int, str]) -> None:
    """Adds one line for each of a job's units, by their ids, in the caller's transaction."""
    JobEvent.objects.bulk_create(
        JobEvent(job_id=job_id, unit_id=unit_id, at=Now(), name=name, text=text) for unit_id, text in texts.items()
    )
    job_changed(job_id)


def count(name: str, by: int = 1) -> None:
    """Adds to a cluster-wide counter, in the caller's transaction."""
    count_all({name: by})


_ADD = """
UPDATE jobs_counter SET value = value + 1
WHERE name = (SELECT name FROM jobs_counter WHERE name = %(name)s OR starts_with(name, %(name)s || %(share)s)
              LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
"""
_SHARE = """
INSERT INTO jobs_counter (name, value) VALUES (%(name)s || %(share)s || pg_current_xact_id()::text, 1)
ON CONFLICT (name) DO UPDATE SET value = jobs_counter.value + 1
"""


def count_without_waiting(name: str) -> None:
    """Adds to a share of a counter that no other transaction has in hand, in the caller's, which may last.

    There are never more shares than transactions were open at once; whoever reads sums them up.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ADD, {"name": name, "share": SHARE})
        if not cursor.rowcount:
            cursor.execute(_SHARE, {"name": name, "share": SHARE})


def count_all(counts: Mapping[str, int]) -> None:
    """Adds to several counters, in the caller's transaction; by name, so that no two wait for each other."""
    names = sorted(counts)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_counter (name, value) SELECT * FROM unnest(%s::text[], %s::bigint[]) ORDER BY 1"
            " ON CONFLICT (name) DO UPDATE SET value = jobs_counter.value + excluded.value",
            [names, [counts[name] for name in names]],
        )
