"""What runs where, and how much was done lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, FloatField, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Now, TruncMinute

from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.models import Attempt
from clustercore.jobs.selectors.eligibility import LIVE
from clustercore.nodes.domain.node_status import Holding, NodeWork

RECENTLY = timedelta(hours=1)
_FREE = f"""
SELECT coalesce(sum(greatest(0, n.slots - (
    SELECT count(*) FROM jobs_attempt a WHERE a.instance = n.instance AND a.outcome = 'live'))), 0)
FROM nodes_node n WHERE {LIVE} AND %s = ANY(n.capabilities)
"""


def summed(key: str) -> Sum:
    """The sum of a number that attempts note of how they were served; None where none did."""
    return Sum(Cast(KT(f"served_by__{key}"), FloatField()))


def work_of_nodes() -> Mapping[int, NodeWork]:
    """What each node has in hand, and what it did in the last hour. Two queries."""
    holdings = _holdings()
    done = Attempt.objects.filter(outcome=AttemptOutcome.DONE, ended__gt=Now() - RECENTLY, node__isnull=False)
    groups = done.order_by().values("node_id")
    recent = {
        row["node_id"]: row
        for row in groups.annotate(units=Count("id"), audio=summed("audio_seconds"), work=summed("seconds"))
    }
    return {
        node_id: NodeWork(
            holdings=tuple(holdings.get(node_id, ())),
            done=recent[node_id]["units"] if node_id in recent else 0,
            audio_seconds=(recent[node_id]["audio"] or 0.0) if node_id in recent else 0.0,
            work_seconds=(recent[node_id]["work"] or 0.0) if node_id in recent else 0.0,
        )
        for node_id in {*holdings, *recent}
    }


def _holdings() -> Mapping[int, Sequence[Holding]]:
    live = Attempt.objects.filter(outcome=AttemptOutcome.LIVE, node__isnull=False).order_by("started", "id")
    found: dict[int, list[Holding]] = {}
    fields = ("node_id", "unit__job_id", "unit_id", "unit__stage", "unit__ordinal", "started", "unit__progress")
    for node_id, job_id, unit_id, stage, ordinal, started, progress in live.values_list(*fields):
        held = Holding(job_id=job_id, unit_id=unit_id, stage=stage, ordinal=ordinal, since=started, progress=progress)
        found.setdefault(node_id, []).append(held)
    return found


def free_places(capability: str) -> int:
    """Returns how many slots of nodes that take work of a capability have nothing in hand. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_FREE, [capability])
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One minute of the cluster's work: units done, seconds of sound heard."""

    at: datetime
    done: int
    audio_seconds: float


def minutes_of_the_last_hour() -> list[Minute]:
    """Sixty minutes, oldest first, the running one last, idle ones included; empty when nothing ended. One query."""
    done = Attempt.objects.filter(outcome=AttemptOutcome.DONE, ended__gt=Now() - RECENTLY).order_by()
    groups = done.annotate(minute=TruncMinute("ended")).values("minute")
    counted = groups.annotate(units=Count("id"), audio=summed("audio_seconds"), last=TruncMinute(Now()))
    rows = {row["minute"]: row for row in counted}
    if not rows:
        return []
    last = next(iter(rows.values()))["last"]
    every = [last - timedelta(minutes=before) for before in range(59, -1, -1)]
    return [
        Minute(
            at=minute,
            done=rows[minute]["units"] if minute in rows else 0,
            audio_seconds=(rows[minute]["audio"] or 0.0) if minute in rows else 0.0,
        )
        for minute in every
    ]
