"""What the whole cluster has done, for metrics: sums over the ledger and the counts that outlive its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count

from clustercore.jobs.domain.counters import UNIT_BUCKETS
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.models import Counter, Unit
from clustercore.jobs.selectors.occupation import RECENTLY

_UNITS = """
SELECT j.kind, a.served_by->>'engine',
    width_bucket(-(a.served_by->>'seconds')::float8, %(bounds)s::float8[]) AS above,
    count(*), sum((a.served_by->>'seconds')::float8), coalesce(sum((a.served_by->>'audio_seconds')::float8), 0)
FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id JOIN jobs_job j ON j.id = u.job_id
WHERE a.outcome = 'done' AND a.served_by ? 'engine' AND a.served_by ? 'seconds'
  AND (%(job)s::bigint IS NULL OR j.id = %(job)s::bigint)
  AND (%(since)s::interval IS NULL OR a.ended > now() - %(since)s::interval)
GROUP BY 1, 2, 3
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


def units_by_engine(job_id: int | None = None, *, recent: bool = False) -> list[EngineUnits]:
    """Of one job or of all; `recent`: of the last hour. One query."""
    # A bound belongs to the bucket below it: counted from above, with the sign turned round.
    bounds = sorted(-bound for bound in UNIT_BUCKETS)
    wanted: dict[str, Any] = {"bounds": bounds, "job": job_id, "since": RECENTLY if recent else None}
    with connection.cursor() as cursor:
        cursor.execute(_UNITS, wanted)
        return [
            EngineUnits(
                kind=kind,
                engine=engine,
                bucket=len(UNIT_BUCKETS) - above,
                units=units,
                seconds=seconds,
                audio_seconds=sound,
            )
            for kind, engine, above, units, seconds, sound in cursor.fetchall()
        ]


def counters() -> Mapping[str, int]:
    """Every count that nothing resets, by name. One query."""
    return dict(Counter.objects.values_list("name", "value"))


def queued_by_capability() -> Mapping[str, int]:
    """Units that wait, by what they need. One query."""
    queued = Unit.objects.filter(state=UnitState.QUEUED).order_by().values_list("capability")
    return dict(queued.annotate(units=Count("id")))


def dead_units() -> int:
    """Units that crashed too many workers and wait for a person. One query."""
    return Unit.objects.filter(state=UnitState.DEAD).count()
