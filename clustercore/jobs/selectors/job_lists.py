"""What lists and the dashboard show of jobs: what runs, what failed and why, what ended last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.domain.progress import JobProgress
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.error_groups import Cause, failed_by_cause
from clustercore.jobs.selectors.progress import job_progress

OPEN_ROWS = 10
RECENT_ROWS = 6
CAUSES = 20
FAILED_LATELY = timedelta(days=1)
"""What failed longer ago is still found by its state, and stands in nobody's way."""
OPEN_STATES = (JobState.RUNNING, JobState.PAUSED)
ENDED_STATES = (JobState.DONE, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Failures:
    """Causes, the most frequent first, and the newest jobs of each by id."""

    causes: tuple[Cause, ...]
    failed: Mapping[int, JobProgress]


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """The first jobs in line, and how many stand behind them."""

    rows: tuple[JobProgress, ...]
    more: int


def open_jobs(jobs: QuerySet[Job]) -> OpenJobs:
    """What runs or is paused among these jobs, in the order of work, and how many are not listed."""
    found = jobs.filter(state__in=OPEN_STATES).order_by("-priority", "id")
    rows = job_progress(found[:OPEN_ROWS])
    more = found.count() - len(rows) if len(rows) == OPEN_ROWS else 0
    return OpenJobs(tuple(rows), max(0, more))


def recent_jobs(jobs: QuerySet[Job]) -> list[JobProgress]:
    """The last few that were done or cancelled, newest first. Two queries."""
    return job_progress(jobs.filter(state__in=ENDED_STATES).order_by("-finished", "-id")[:RECENT_ROWS])


def failures(jobs: QuerySet[Job]) -> Failures:
    """Those that failed in the last day, by cause; three queries, one where nothing did."""
    # Written so that an index answers it: each half is a range of one.
    lately = jobs.filter(Q(finished=None) | Q(finished__gt=Now() - FAILED_LATELY))
    causes = tuple(failed_by_cause(lately, CAUSES))
    ids = [job_id for cause in causes for job_id in cause.newest]
    found = job_progress(jobs.filter(pk__in=ids)) if ids else []
    return Failures(causes, {job.id: job for job in found})
