"""What was done of jobs, as their attempts tell: by which node, for how long, and how fast it goes now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, FloatField, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from clustercore.jobs.domain.kinds import outline_of
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.domain.progress import NodeShare, Pace
from clustercore.jobs.models import Attempt, Job
from clustercore.jobs.selectors.remembered import Remembered
from clustercore.nodes.domain.speed import speed_of

MainStages = Mapping[int, str | None]
Ends = Mapping[int, datetime | None]
NONE_WIDE: Ends = {}
"""The stage whose units people count of each job; None for a kind that this process does not know."""
LAST_ATTEMPTS = 1_000
"""Of the whole cluster, in which a job's pace is looked for: some seconds of a busy cluster, days of a quiet one."""


@dataclass(frozen=True, slots=True)
class Work:
    """How long anything of a job was in hand, on the clock, and how much sound was heard."""

    seconds: float = 0.0
    audio_seconds: float = 0.0

    @property
    def speed(self) -> float | None:
        return speed_of(self.audio_seconds, self.seconds)


# OFFSET 0 keeps the planner from reading all attempts there are for those of a few units. What ran side by side counts
# once. A clock that was set back must not make a time that ends before it begins.
_WORK = """
WITH shown AS (SELECT * FROM unnest(%s::bigint[], %s::text[]) AS shown(job_id, main))
SELECT job_id, coalesce(audio, 0.0) AS audio,
       coalesce((SELECT extract(epoch FROM sum(upper(part) - lower(part)))::float8 FROM unnest(parts) part), 0.0)
       AS seconds
FROM (
    SELECT shown.job_id, sum(a.audio) AS audio, range_agg(tstzrange(least(a.started, a.ended), a.ended)) AS parts
    FROM shown JOIN jobs_unit u ON u.job_id = shown.job_id
    CROSS JOIN LATERAL (
        SELECT started, coalesce(ended, now()) AS ended,
               CASE WHEN outcome = 'done' AND (shown.main IS NULL OR u.stage = shown.main)
                    THEN (served_by ->> 'audio_seconds')::float8 END AS audio
        FROM jobs_attempt WHERE unit_id = u.id OFFSET 0
    ) a
    GROUP BY shown.job_id
) tried
"""
# By number and not by time: however much a cluster does, so many rows are read, the newest, by their primary key.
_PACES = """
WITH lately AS MATERIALIZED (
    SELECT unit_id, started, outcome FROM jobs_attempt ORDER BY id DESC LIMIT %(attempts)s
)
SELECT u.job_id, count(*), sum(u.weight),
       extract(epoch FROM now() - greatest(min(lately.started), now() - interval '1 hour'))::float8
FROM lately CROSS JOIN LATERAL (SELECT job_id, stage, weight FROM jobs_unit WHERE id = lately.unit_id OFFSET 0) u
WHERE lately.outcome = 'done' AND lately.started > now() - interval '1 hour' AND (u.job_id, u.stage) IN (
    SELECT * FROM unnest(%(jobs)s::bigint[], %(stages)s::text[]))
GROUP BY u.job_id
"""


def main_stage_of(kind: str) -> str | None:
    """The stage whose units people count; None for a kind that this process does not know."""
    known = outline_of(kind)
    return known.main_stage if known is not None else None


def work_of(main_stages: MainStages, *, wide: Ends = NONE_WIDE) -> dict[int, Work]:
    """Returns the work done of these jobs, given the main stage of each: one query, none for no jobs.

    That of `wide` ones, given when each ended, is as of a little while ago, or of their end.
    """
    narrow = {job_id: stage for job_id, stage in main_stages.items() if job_id not in wide}
    found = _read_work(narrow) if narrow else {}
    return found | {job_id: _WORK_OF_WIDE.of(job_id, wide[job_id]) for job_id in main_stages if job_id in wide}


def _read_work(main_stages: MainStages) -> dict[int, Work]:
    with connection.cursor() as cursor:
        cursor.execute(_WORK, [list(main_stages), list(main_stages.values())])
        return {job_id: Work(seconds, audio) for job_id, audio, seconds in cursor.fetchall()}


def shares_of(main_stages: MainStages, *, wide: Ends = NONE_WIDE) -> dict[int, list[NodeShare]]:
    """Returns what each node did of these jobs; one query. That of `wide` ones is as in `work_of`."""
    narrow = {job_id: stage for job_id, stage in main_stages.items() if job_id not in wide}
    found = _read_shares(narrow) if narrow else {}
    return found | {job_id: _SHARES_OF_WIDE.of(job_id, wide[job_id]) for job_id in main_stages if job_id in wide}


def _read_shares(main_stages: MainStages) -> dict[int, list[NodeShare]]:
    told = (AttemptOutcome.DONE, AttemptOutcome.LIVE)
    attempts = Attempt.objects.filter(unit__job_id__in=list(main_stages), outcome__in=told).order_by()
    engine = ("served_by__engine", "served_by__model", "served_by__rung")
    groups = attempts.values("unit__job_id", "unit__stage", "node_name", "outcome", *engine)
    rows = groups.annotate(units=Count("id"), audio=_sum_of("audio_seconds"), work=_sum_of("seconds"))
    by_job: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        if main_stages[row["unit__job_id"]] in (None, row["unit__stage"]):
            by_job.setdefault(row["unit__job_id"], []).append(dict(row))
    return {job_id: _shares_in(found) for job_id, found in by_job.items()}


def _main_stage(job_id: int) -> dict[int, str | None]:
    kind = Job.objects.filter(pk=job_id).values_list("kind", flat=True).first()
    return {job_id: main_stage_of(kind or "")}


_WORK_OF_WIDE = Remembered(lambda job_id: _read_work(_main_stage(job_id)).get(job_id, Work()))
_SHARES_OF_WIDE = Remembered(lambda job_id: _read_shares(_main_stage(job_id)).get(job_id, []))


def paces_of(counted_stages: Mapping[int, str]) -> dict[int, Pace]:
    """Returns how fast jobs go, of those of which anything was done lately, given the stage that counts of each.

    One query, none for no jobs.
    """
    if not counted_stages:
        return {}
    wanted: dict[str, Any] = {
        "jobs": list(counted_stages),
        "stages": list(counted_stages.values()),
        "attempts": LAST_ATTEMPTS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PACES, wanted)
        rows = cursor.fetchall()
    return {
        job_id: Pace(units_per_minute=60 * units / seconds, weight_per_second=weight / seconds)
        for job_id, units, weight, seconds in rows
        if seconds and weight
    }


def served_label(served_by: Mapping[str, Any]) -> str:
    """`engine:model`, as far as an attempt says."""
    return ":".join(str(part) for part in (served_by.get("engine"), served_by.get("model")) if part)


def _shares_in(rows: Sequence[Mapping[str, Any]]) -> list[NodeShare]:
    """One share for each engine that served on a node; what runs there is counted with the first of them."""
    running: dict[str, int] = {}
    for row in rows:
        if row["outcome"] == AttemptOutcome.LIVE:
            running[row["node_name"]] = running.get(row["node_name"], 0) + row["units"]
    done = [row for row in rows if row["outcome"] == AttemptOutcome.DONE]
    shares = [_share(row, running.pop(row["node_name"], 0)) for row in done]
    begun = [NodeShare(node=node, served_by="", done=0, running=n, work_seconds=0.0) for node, n in running.items()]
    return sorted([*shares, *begun], key=lambda share: (share.node, share.served_by))


def _sum_of(key: str) -> Sum:
    return Sum(Cast(KT(f"served_by__{key}"), FloatField()))


def _share(row: Mapping[str, Any], running: int) -> NodeShare:
    return NodeShare(
        node=row["node_name"],
        served_by=served_label({"engine": row["served_by__engine"], "model": row["served_by__model"]}),
        done=row["units"],
        running=running,
        work_seconds=row["work"] or 0.0,
        audio_seconds=row["audio"] or 0.0,
        rung=row["served_by__rung"],
    )
