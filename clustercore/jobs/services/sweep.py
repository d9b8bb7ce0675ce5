"""What the sweeping agent does besides reaping: says why jobs wait, and finishes what nobody finished."""

from __future__ import annotations

import logging

from clustercore.jobs.domain.lifecycle import JobState, UnitState
from clustercore.jobs.domain.waiting import job_waits_because
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.selectors.eligibility import Stuck, jobs_without_a_running_unit
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.events import record_event

logger = logging.getLogger(__name__)


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
    """Advances running jobs of which nothing moves: their last transaction should have, whatever ended it."""
    moving = Unit.objects.filter(state__in=[UnitState.QUEUED, UnitState.LEASED]).values("job_id")
    for job_id in Job.objects.filter(state=JobState.RUNNING).exclude(pk__in=moving).values_list("pk", flat=True):
        try:
            advance(job_id)
        except KeyError:
            logger.exception("job %s is of a kind that this node does not know", job_id)
