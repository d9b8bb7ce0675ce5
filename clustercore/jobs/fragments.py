"""Which elements of the pages are live: their ids, the templates that page and broadcaster both render, and of what.

A template `<room>/live/<name>.html` renders one element, whose id is the part's; the page includes the same file.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.template.loader import render_to_string

from clustercore.jobs.domain.chart import counts_of
from clustercore.jobs.domain.pieces import chunks_of, groups_of
from clustercore.jobs.domain.timeline import timeline_of
from clustercore.live.domain.topics import Facts, PagePart
from clustercore.live.services.fragments import fragment

TIMELINE_SECONDS = 2.0
WIDE_SECONDS = 1.0
"""A wide job changes all the time, and nobody reads faster."""
ATTEMPTS_A_SECOND = 30
"""How many attempts of a timeline may be drawn a second: a long one is drawn seldom."""


def job_parts(key: str, facts: Facts) -> Sequence[PagePart]:
    """The page of one job."""
    job, colours, attempts = facts["job"], facts["colours"], facts["attempts"]
    return [
        fragment(f"job-{key}-status", "jobs/live/status.html", {"job": job}),
        fragment(f"job-{key}-row", "jobs/live/row.html", {"job": job}),
        *(_parts_of_wide(key, facts) if job.is_wide else _chunks(key, facts)),
        fragment(
            f"job-{key}-shares",
            "jobs/live/shares.html",
            {"job": job, "colours": colours},
            of=(job.shares, colours),
        ),
        fragment(f"job-{key}-events", "jobs/live/events.html", {"job_id": job.id, "events": facts["events"]}),
        PagePart(
            id=f"job-{key}-timeline",
            of=(attempts, colours),
            make=lambda: render_to_string(
                "jobs/live/timeline.html", {"timeline": timeline_of(job.id, attempts, colours)}
            ),
            every=TIMELINE_SECONDS + len(attempts) / ATTEMPTS_A_SECOND,
        ),
    ]


def _chunks(key: str, facts: Facts) -> Sequence[PagePart]:
    chunks = chunks_of(int(key), facts["pieces"], facts["colours"])
    return [fragment(f"job-{key}-pieces-{one.number}", "jobs/live/pieces.html", {"chunk": one}) for one in chunks]


def _parts_of_wide(key: str, facts: Facts) -> Sequence[PagePart]:
    """Counts and a few pieces, in place of all of them."""
    job, groups = facts["job"], groups_of(int(key), facts["window"], facts["colours"])
    return [
        fragment(f"job-{key}-counts", "jobs/live/counts.html", {"counts": counts_of(job)}, every=WIDE_SECONDS),
        *(
            fragment(f"job-{key}-group-{one.name}", "jobs/live/group.html", {"group": one}, every=WIDE_SECONDS)
            for one in groups
        ),
    ]


def list_parts(_key: str, facts: Facts) -> Sequence[PagePart]:
    """The lists of jobs, on their own page and on the first one."""
    failures, opened = facts["failures"], facts["open"]
    return [
        fragment("jobs-failed", "jobs/live/failed.html", {"causes": failures.causes, "jobs": failures.failed}),
        fragment("jobs-running", "jobs/live/running.html", {"jobs": opened.rows, "more_open": opened.more}),
        fragment("jobs-recent", "jobs/live/recent.html", {"jobs": facts["recent"]}),
    ]
