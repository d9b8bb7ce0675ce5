"""What a hundred thousand finished jobs cost those that come: a submission, a scrape, and what pages ask for.

A part of `growth`: `measure` fills an empty ledger and leaves it empty.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from django.db import connection

from benchmarks import harness
from benchmarks.empty_units import EMPTY
from benchmarks.past_jobs import fill_past
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.models import Job, JobCount
from clustercore.jobs.selectors.job_lists import failures, open_jobs, recent_jobs
from clustercore.jobs.selectors.node_load import minutes_of_the_last_hour, work_of_nodes
from clustercore.jobs.selectors.queueing import jobs_by_state, queue_now
from clustercore.jobs.services.submit import refuse_over_backlog, submit
from clustercore.jobs.services.sweep import finish_forgotten_jobs
from clustercore.telemetry.services.metrics import exposition

JOBS = 100_000
UNITS_OF_A_JOB = 2
BACKLOG_LIMIT = 100_000
REPETITIONS = 15
BARS: harness.Bars = {"submit_ms_history": ("<=", 10.0), "metrics_scrape_ms": ("<=", 50.0)}


def _submit() -> None:
    submit(None, JobRequest(kind=EMPTY.name, title="another one"), backlog_limit=BACKLOG_LIMIT)


QUESTIONS: Mapping[str, Callable[[], object]] = {
    "submit_ms_history": _submit,
    "metrics_scrape_ms": lambda: exposition(""),
    "backlog_ms_history": lambda: refuse_over_backlog(BACKLOG_LIMIT),
    "queue_now_ms_history": queue_now,
    "jobs_by_state_ms_history": lambda: jobs_by_state(JobCount.objects.all()),
    "recent_jobs_ms_history": lambda: recent_jobs(Job.objects.all()),
    "open_jobs_ms_history": lambda: open_jobs(Job.objects.all()),
    "failures_ms_history": lambda: failures(Job.objects.all()),
    "work_of_nodes_ms_history": work_of_nodes,
    "minutes_ms_history": minutes_of_the_last_hour,
    "finish_forgotten_ms_history": finish_forgotten_jobs,
}


def measure(jobs: int = JOBS, units_of_a_job: int = UNITS_OF_A_JOB) -> dict[str, float]:
    """Returns the median time of each, in milliseconds, beside a past of that many jobs."""
    fill_past(EMPTY, jobs, units_of_a_job)
    try:
        return {name: round(_median_ms(question), 3) for name, question in QUESTIONS.items()}
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE jobs_job, jobs_jobcount, jobs_counter, jobs_workdone CASCADE")


def _median_ms(question: Callable[[], object]) -> float:
    question()
    return statistics.median(harness.milliseconds(question) for _ in range(REPETITIONS))
