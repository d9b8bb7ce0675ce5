"""What the sweeping agent does besides reaping: says why jobs wait, and finishes what nobody finished."""

from __future__ import annotations

import logging

from django.db.models import Exists, OuterRef

from clustercore.config.environment import environment
from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.lifecycle import BACKLOG_UNIT_STATES, JobState
from clustercore.jobs.domain.waiting import BROKER_AWAY, job_waits_because
from clustercore.jobs.models import Job, JobEvent, Unit
from clustercore.jobs.selectors.eligibility import Stuck, jobs_without_a_running_unit
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.answering import expire_questions
from clustercore.jobs.services.clock import ClockWatch
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.floors import keep_floors
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.telling import job_changed
from clustercore.jobs.services.timers import run_due
from clustercore.nodes.services import mark_silent_nodes_offline

logger = logging.getLogger(__name__)

SWEEPS_PER_LEASE = 8
REASONS_IN_TURN = 3
IS_OPEN = StoredStatement(
    "jobs_is_open",
    parameters={},
    columns={"is_open": "boolean"},
    query="""
SELECT EXISTS (SELECT FROM jobs_job WHERE state = 'running') OR EXISTS (SELECT FROM jobs_attempt WHERE outcome = 'live')
""",
)


class Sweeper:
    """When this process may sweep: not within a lease after it or PostgreSQL came back, for holders must first have had
    the chance to extend. All of it is counted on a clock that nobody sets."""

    def __init__(self) -> None:
        self._clock = ClockWatch()
        self._reachable_since: float | None = None
        self._server_started = 0.0
        self._looked = float("-inf")
        self._reading: ClockReading | None = None

    def hub_was_away(self) -> None:
        """Begins the grace anew."""
        self._reachable_since = None

    def sweep_if_due(self, now: float, lease_seconds: float, *, broker_away: str | None = None) -> None:
        """Looks at the clocks, ends what nobody extended, and lets happen what is due at a time.

        `now` is by `elapsed_seconds`, as suspended time counts.

        `broker_away` says why the broker does not answer; empty where it does, None where this node does not know.
        """
        if now - self._looked >= lease_seconds / SWEEPS_PER_LEASE:
            self._look(now, lease_seconds, broker_away)
        if self._reading is not None and work_is_open():
            expire_questions(self._reading, lease_seconds)
            run_due(self._reading, lease_seconds)

    def _look(self, now: float, lease_seconds: float, broker_away: str | None) -> None:
        self._reading = reading = self._clock.look(lease_seconds)
        self._looked = now
        if self._reachable_since is None or reading.server_started != self._server_started:
            self._reachable_since, self._server_started = now, reading.server_started
        is_settled = now - self._reachable_since >= lease_seconds
        # A floor is decided before the first node has done much; it falls only when all had the chance to beat.
        if work_is_open():
            keep_floors(environment().floor_wait_seconds, may_fall=is_settled)
        if is_settled:
            sweep(reading, lease_seconds, broker_away)


def work_is_open() -> bool:
    """Tells whether any job runs or any piece is in hand; where not, no unit can wait, be lost or need a reason."""
    return bool(IS_OPEN.fetch()[0][0])


def sweep(reading: ClockReading, lease_seconds: float, broker_away: str | None) -> None:
    """Marks silent nodes, ends expired leases, and says why jobs wait; nothing while another node does it."""
    mark_silent_nodes_offline()
    if work_is_open() and reap(reading, lease_seconds) is not None:
        explain_waiting_jobs(broker_away=broker_away)
        finish_forgotten_jobs()


def explain_waiting_jobs(*, broker_away: str | None = None) -> None:
    """Writes the reason on every job that waits for a node, and clears it where something runs."""
    stuck = {found.job_id: found for found in jobs_without_a_running_unit()}
    for found in stuck.values():
        _explain(found, broker_away)
    Job.objects.filter(state=JobState.RUNNING).exclude(waiting="").exclude(pk__in=stuck).update(waiting="")


def _explain(found: Stuck, broker_away: str | None) -> None:
    if broker_away is None and found.nodes_able and found.waiting.startswith(BROKER_AWAY):
        # Another node's word, which one that has not asked has nothing to set against: it would come and go.
        return
    reason = job_waits_because(
        contract=found.contract,
        capability=found.capability,
        language=found.language,
        engine=found.engine,
        model=found.model,
        floor=found.floor if found.ranked else 0,
        floor_wait_seconds=environment().floor_wait_seconds if found.may_fall else None,
        nodes_online=found.nodes_online,
        nodes_with_contract=found.nodes_with_contract,
        nodes_with_capability=found.nodes_with_capability,
        nodes_able=found.nodes_able,
        refused=found.refused,
        holds=found.holds,
        broker_away=broker_away or "",
    )[:400]
    if reason == found.waiting:
        return
    Job.objects.filter(pk=found.job_id).update(waiting=reason)
    job_changed(found.job_id)
    if reason and not _was_told_lately(found.job_id, reason):
        record_event(found.job_id, "waiting", f"waiting: {reason}")


def _was_told_lately(job_id: int, reason: str) -> bool:
    """Whether it is among the last reasons told: such as come and go, or take turns, leave one event each."""
    told = JobEvent.objects.filter(job_id=job_id, name="waiting").order_by("-pk").values_list("text", flat=True)
    return f"waiting: {reason}" in told[:REASONS_IN_TURN]


def finish_forgotten_jobs() -> None:
    """Advances running jobs of which nothing moves and nothing is held: their last transaction should have."""
    opened = Exists(Unit.objects.filter(job=OuterRef("pk"), state__in=BACKLOG_UNIT_STATES))
    for job_id in Job.objects.filter(~opened, state=JobState.RUNNING).values_list("pk", flat=True):
        try:
            advance(job_id)
        except KeyError:
            logger.exception("job %s is of a kind that this node does not know", job_id)
