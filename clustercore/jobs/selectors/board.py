"""What lists and the dashboard show of jobs: what runs, what failed and why, what ended last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.domain.progress import JobProgress
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.causes import Cause, failed_by_cause
from clustercore.jobs.selectors.progress import job_progress

OPEN_ROWS = 50
RECENT_ROWS = 6
CAUSES = 20
OPEN_STATES = (JobState.RUNNING, JobState.PAUSED)
ENDED_STATES = (JobState.DONE, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Failures:
    """Causes, the most frequent first, and the newest jobs of each by id."""

    causes: tuple[Cause, ...]
    failed: Mapping[int, JobProgress]


def open_jobs(jobs: QuerySet[Job]) -> list[JobProgress]:
    """What runs or is paused among these jobs, the most urgent, then the oldest first; at most fifty. Two queries."""
    return job_progress(jobs.filter(state__in=OPEN_STATES).order_by("-priority", "id")[:OPEN_ROWS])


def recent_jobs(jobs: QuerySet[Job]) -> list[JobProgress]:
    """The last few that were done or cancelled, newest first. Two queries."""
    return job_progress(jobs.filter(state__in=ENDED_STATES).order_by("-finished", "-id")[:RECENT_ROWS])


def failures(jobs: QuerySet[Job]) -> Failures:
    """The failed ones by cause; three queries, one where nothing failed."""
    causes = tuple(failed_by_cause(jobs, CAUSES))
    ids = [job_id for cause in causes for job_id in cause.newest]
    found = job_progress(jobs.filter(pk__in=ids)) if ids else []
    return Failures(causes, {job.id: job for job in found})
