"""What the sweeping agent does besides reaping: says why jobs wait, and finishes what nobody finished."""

from __future__ import annotations

from clustercore.jobs.domain.lifecycle import OPEN_UNIT_STATES, JobState
from clustercore.jobs.domain.waiting import job_waits_because
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.selectors import Stuck, jobs_without_a_running_unit
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.events import record_event


def explain_waiting_jobs() -> None:
    """Writes the reason on every job that waits for a node, and clears it where something runs."""
    stuck = {found.job_id: found for found in jobs_without_a_running_unit()}
    for found in stuck.values():
        _explain(found)
    Job.objects.filter(state=JobState.RUNNING).exclude(waiting="").exclude(pk__in=stuck).update(waiting="")


def _explain(found: Stuck) -> None:
    reason = job_waits_because(
        capability=found.capability,
        language=found.language,
        engine=found.engine,
        model=found.model,
        floor=found.floor if found.ranked else 0,
        nodes_online=found.nodes_online,
        nodes_with_capability=found.nodes_with_capability,
        nodes_able=found.nodes_able,
        refused=found.refused,
    )[:400]
    if reason == found.waiting:
        return
    Job.objects.filter(pk=found.job_id).update(waiting=reason)
    if reason:
        record_event(found.job_id, "waiting", f"waiting: {reason}")


def finish_forgotten_jobs() -> None:
    """Advances running jobs of which nothing is open: their last transaction should have, whatever ended it."""
    open_jobs = Unit.objects.filter(state__in=OPEN_UNIT_STATES).values("job_id")
    for job_id in Job.objects.filter(state=JobState.RUNNING).exclude(pk__in=open_jobs).values_list("pk", flat=True):
        advance(job_id)
