"""What the whole cluster has done, for metrics: sums over the ledger and the counts that outlive its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count

from clustercore.jobs.domain.counters import SHARE
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.models import Counter, Unit
from clustercore.jobs.selectors.node_load import RECENTLY

_ALL = """
SELECT kind, engine, bucket, sum(units)::bigint, sum(microseconds) / 1e6, sum(sound_microseconds) / 1e6
FROM jobs_workdone GROUP BY 1, 2, 3
"""
_FACTORS = """
SELECT a.served_by ->> 'engine', (sum((a.served_by -> 'seconds')::numeric)
                                  / sum((a.served_by -> 'audio_seconds')::numeric))::float8
FROM jobs_attempt a
WHERE a.outcome = 'done' AND a.ended > now() - %s * interval '1 second' AND a.served_by ? 'engine'
  AND jsonb_typeof(a.served_by -> 'seconds') = 'number'
  AND a.served_by -> 'audio_seconds' > '0' AND jsonb_typeof(a.served_by -> 'audio_seconds') = 'number'
GROUP BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineUnits:
    """Units of one kind that one engine did, and that took as long as the bucket of `UNIT_BUCKETS` says."""

    kind: str
    engine: str
    bucket: int
    units: int
    seconds: float
    audio_seconds: float


def units_by_engine() -> list[EngineUnits]:
    """All that was ever done, by jobs that have been removed as well. One query, over a few rows."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL)
        return [
            EngineUnits(
                kind=kind,
                engine=engine,
                bucket=bucket,
                units=units,
                seconds=float(seconds),
                audio_seconds=float(sound),
            )
            for kind, engine, bucket, units, seconds, sound in cursor.fetchall()
        ]


def real_time_factors() -> Mapping[str, float]:
    """Seconds of work per second of sound in the last hour, by engine; none of those that heard nothing. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_FACTORS, [RECENTLY.total_seconds()])
        return dict(cursor.fetchall())


def counters() -> Mapping[str, int]:
    """Every count that nothing resets, by name. One query."""
    sums: dict[str, int] = defaultdict(int)
    for name, value in Counter.objects.values_list("name", "value"):
        sums[name.partition(SHARE)[0]] += value
    return sums


def queued_by_capability() -> Mapping[str, int]:
    """Units that wait, by what they need. One query."""
    queued = Unit.objects.filter(state=UnitState.QUEUED).order_by().values_list("capability")
    return dict(queued.annotate(units=Count("id")))


def dead_units() -> int:
    """Units that crashed too many workers and wait for a person. One query."""
    return Unit.objects.filter(state=UnitState.DEAD).count()
