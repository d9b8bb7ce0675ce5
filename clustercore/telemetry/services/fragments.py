"""Which elements of the pages are live: their ids, the templates that page and watcher both render, and of what.

A template `<room>/live/<name>.html` renders one element, whose id is the part's; the page includes the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.template.loader import render_to_string

from clustercore.jobs.domain.chart import chart_of, counts_of
from clustercore.jobs.domain.pieces import chunks_of, groups_of
from clustercore.jobs.domain.timeline import timeline_of
from clustercore.telemetry.domain.topics import Facts, Part

TIMELINE_SECONDS = 2.0
WIDE_SECONDS = 1.0
"""A wide job changes all the time, and nobody reads faster."""
ATTEMPTS_A_SECOND = 30
"""How many attempts of a timeline may be drawn a second: a long one is drawn seldom."""


def part(name: str, template: str, context: Mapping[str, Any], *, of: Any = None, every: float = 0.0) -> Part:
    """A part that shows `of`, or its whole context."""
    shown = tuple(context.values()) if of is None else of
    return Part(id=name, of=shown, make=partial(render_to_string, template, dict(context)), every=every)


def job_parts(key: str, facts: Facts) -> Sequence[Part]:
    """The page of one job."""
    job, colours, attempts = facts["job"], facts["colours"], facts["attempts"]
    return [
        part(f"job-{key}-status", "jobs/live/status.html", {"job": job}),
        part(f"job-{key}-row", "jobs/live/row.html", {"job": job}),
        *(_parts_of_wide(key, facts) if job.is_wide else _chunks(key, facts)),
        part(
            f"job-{key}-shares",
            "jobs/live/shares.html",
            {"job": job, "colours": colours},
            of=(job.shares, colours),
        ),
        part(f"job-{key}-events", "jobs/live/events.html", {"job_id": job.id, "events": facts["events"]}),
        Part(
            id=f"job-{key}-timeline",
            of=(attempts, colours),
            make=lambda: render_to_string(
                "jobs/live/timeline.html", {"timeline": timeline_of(job.id, attempts, colours)}
            ),
            every=TIMELINE_SECONDS + len(attempts) / ATTEMPTS_A_SECOND,
        ),
    ]


def _chunks(key: str, facts: Facts) -> Sequence[Part]:
    chunks = chunks_of(int(key), facts["pieces"], facts["colours"])
    return [part(f"job-{key}-pieces-{one.number}", "jobs/live/pieces.html", {"chunk": one}) for one in chunks]


def _parts_of_wide(key: str, facts: Facts) -> Sequence[Part]:
    """Counts and a few pieces, in place of all of them."""
    job, groups = facts["job"], groups_of(int(key), facts["window"], facts["colours"])
    return [
        part(f"job-{key}-counts", "jobs/live/counts.html", {"counts": counts_of(job)}, every=WIDE_SECONDS),
        *(
            part(f"job-{key}-group-{one.name}", "jobs/live/group.html", {"group": one}, every=WIDE_SECONDS)
            for one in groups
        ),
    ]


def list_parts(_key: str, facts: Facts) -> Sequence[Part]:
    """The lists of jobs, on their own page and on the first one."""
    failures, opened = facts["failures"], facts["open"]
    return [
        part("jobs-failed", "jobs/live/failed.html", {"causes": failures.causes, "jobs": failures.failed}),
        part("jobs-running", "jobs/live/running.html", {"jobs": opened.rows, "more_open": opened.more}),
        part("jobs-recent", "jobs/live/recent.html", {"jobs": facts["recent"]}),
    ]


def node_parts(_key: str, facts: Facts) -> Sequence[Part]:
    """Every node: in the list, on its own page, and in the strip of the first page."""
    nodes, colours = facts["nodes"], facts["colours"]
    cards = [
        part(f"node-{node.id}-{name}", f"nodes/live/{name}.html", {"node": node, "colours": colours})
        for node in nodes
        for name in ("card", "standing")
    ]
    return [*cards, part("nodes-strip", "nodes/live/strip.html", {"nodes": nodes, "colours": colours})]


def cluster_parts(_key: str, facts: Facts) -> Sequence[Part]:
    """The cluster in figures, and the last hour."""
    return [
        part("cluster-figures", "project/live/figures.html", {"figures": facts["figures"]}),
        part(
            "cluster-throughput",
            "project/live/throughput.html",
            {"chart": chart_of(facts["minutes"])},
            of=facts["minutes"],
            every=TIMELINE_SECONDS,
        ),
    ]
