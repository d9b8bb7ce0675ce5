"""Whether anything of a job has changed, without reading all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection
from django.db.models import Max

from clustercore.jobs.models import JobEvent
from clustercore.live.domain.activity import Activity
from clustercore.nodes.domain.facts import BEAT_SLACK_SECONDS, MISSED_BEATS

# An attempt never changes without its unit, an event or the job: it need not be read.
_ACTIVITY = """
SELECT (SELECT max(id) FROM jobs_jobevent), EXISTS (SELECT FROM jobs_attempt WHERE outcome = 'live'),
    pg_current_wal_insert_lsn()::text
"""
# Whoever changes a unit bumps `changed` (services.telling), a moment later. What a process that died meanwhile did not
# tell is told by who ends or takes up the rest of its work, and an open job is read anew each minute at any rate.
_PULSE = """
SELECT j.id, concat_ws('/', hashtextextended(j::text, 0),
    (SELECT max(e.id) FROM jobs_jobevent e WHERE e.job_id = j.id),
    CASE WHEN j.finished IS NULL THEN date_trunc('minute', now()) END)
FROM jobs_job j WHERE j.id = ANY(%s)
"""
_PULSE_OF_NODES = """
SELECT concat_ws('/', date_trunc('minute', now()), (SELECT max(id) FROM jobs_attempt),
    (SELECT sum(hashtextextended(concat(to_jsonb(n) - 'last_seen',
        n.last_seen >= now() - (n.heartbeat_seconds * %s + %s) * interval '1 second'), 0)) FROM nodes_node n),
    (SELECT sum(hashtextextended(m::text, 0)) FROM nodes_nodemodel m),
    (SELECT sum(hashtextextended(p::text, 0)) FROM nodes_modelpull p))
WHERE NOT EXISTS (SELECT FROM jobs_attempt WHERE outcome = 'live')
"""


def activity_now() -> Activity:
    """Tells whether anything can have changed in the ledger, for a hundredth of what looking costs. One query.

    The end of the write-ahead log moves with every row that is written, by whomever; the beats of nodes move it too.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVITY)
        event, is_working, written = cursor.fetchone()
    return Activity(mark=event, written=written, is_working=is_working)


def pulses(ids: Sequence[int]) -> Mapping[int, str]:
    """Returns a text for each of the jobs that exist; while it stays the same, so does all that a page shows, and it
    changes each minute while a job is open. One query, which reads no unit."""
    with connection.cursor() as cursor:
        cursor.execute(_PULSE, [list(ids)])
        return dict(cursor.fetchall())


def pulse_of_nodes() -> str | None:
    """A text that stays the same while nodes are as they were and did nothing, whatever signs of life they give; it
    changes each minute, for what the last hour brought. None while a piece is in hand. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_PULSE_OF_NODES, [MISSED_BEATS, BEAT_SLACK_SECONDS])
        row = cursor.fetchone()
    return row[0] if row is not None else None


def last_event_id() -> int:
    """The newest line of any job's story: no job is asked for, ends or is retried without one. One cheap query."""
    return JobEvent.objects.aggregate(last=Max("id"))["last"] or 0
