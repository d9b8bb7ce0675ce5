"""What comes to one job from several nodes at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
from django.db import connections
from django.db.models import F
from django.db.models.functions import Now

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.verdict import Done, Fail
from clustercore.jobs.models import Attempt, Job, JobEvent, Unit
from clustercore.jobs.services.claim import Claimant, Claimed, claim
from clustercore.jobs.services.control import NotPossible, cancel_job, requeue_unit
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import ParentCancelled, submit
from clustercore.jobs.services.timers import run_due
from tests.fakes.jobs.kinds import RUNG
from tests.fakes.jobs.panel import operation
from tests.integration.jobs.conftest import held_open, taken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("panel")]
ROUNDS = 5


def due() -> int:
    return run_due(read_clocks(), 20.0)


def at_once(*steps: Callable[[], object]) -> list[object]:
    """Each in a thread of its own, begun together; returns what they returned, and raises what any of them raised."""
    start = Barrier(len(steps))

    def run(step: Callable[[], object]) -> object:
        try:
            start.wait(10)
            return step()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(run, steps))


def submitted(parent: Job | None = None) -> Job:
    request = JobRequest(kind="panel", title="at once", parent_id=parent.pk if parent else None)
    job, _ = submit(None, request, backlog_limit=10_000)
    return job


def with_answers(node: Claimant) -> tuple[Job, list[Claimed]]:
    """A job whose four candidates are in hand."""
    job = submitted()
    settle(taken(node).key, Done({}, then=operation(0)))
    RUNG.clear()
    return job, [taken(node) for _ in range(4)]


def vote_of(job: Job) -> Unit:
    return Unit.objects.get(job=job, stage="vote")


@pytest.mark.parametrize("broken", range(4))
def test_answers_that_come_at_once_open_the_vote_once(node: Claimant, broken: int) -> None:
    for _ in range(ROUNDS):
        job, answers = with_answers(node)
        verdicts = [Fail("gone") if number < broken else Done({}) for number in range(4)]
        at_once(*(partial(settle, a.key, v) for a, v in zip(answers, verdicts, strict=True)))
        vote = vote_of(job)
        assert (vote.state, vote.open_inputs, vote.done_inputs) == ("queued", 0, 4 - broken)
        assert [("vote", [vote.pk])] == RUNG
        cancel_job(job.pk)


def test_the_last_answers_and_the_time_of_the_vote_at_once_open_it_once(node: Claimant) -> None:
    for _ in range(ROUNDS):
        job, (first, second, *_) = with_answers(node)
        settle(first.key, Done({}))
        Unit.objects.filter(job=job, stage="vote").update(join_until=F("created"))
        at_once(partial(settle, second.key, Done({})), due, due)
        due()
        vote = vote_of(job)
        assert vote.state == "queued" and [("vote", [vote.pk])] == RUNG
        cancel_job(job.pk)


def test_a_claim_and_a_deadline_at_once_leave_a_unit_either_begun_or_overdue(node: Claimant) -> None:
    for _ in range(ROUNDS):
        job = submitted()
        settle(taken(node).key, Done({}, then=operation(0)))
        Unit.objects.filter(job=job, stage="ask").update(deadline=F("created"))
        held, *_ = at_once(partial(claim, node, None), due, due)
        due()
        assert held is None
        assert set(Unit.objects.filter(job=job, stage="ask").values_list("state", flat=True)) == {"overdue"}
        assert JobEvent.objects.filter(job=job, name="overdue").count() == 4


def test_a_retry_and_an_answer_at_once_leave_the_inputs_counted_right(node: Claimant) -> None:
    for _ in range(ROUNDS):
        job, (first, second, third, _) = with_answers(node)
        settle(first.key, Fail("gone"))
        at_once(partial(requeue_unit, first.unit_id), partial(settle, second.key, Done({})))
        vote = vote_of(job)
        assert (vote.state, vote.open_inputs, vote.done_inputs) == ("blocked", 3, 1)
        settle(third.key, Done({}))
        assert vote_of(job).state == "queued"
        cancel_job(job.pk)


def test_a_child_that_comes_while_its_parent_is_cancelled_does_not_outlive_it() -> None:
    def submit_child(parent: Job) -> None:
        try:
            submitted(parent)
        except ParentCancelled:
            return

    for _ in range(ROUNDS):
        parent = submitted()
        at_once(partial(submit_child, parent), partial(cancel_job, parent.pk), partial(submit_child, parent))
        states = set(Job.objects.filter(parent=parent).values_list("state", flat=True))
        assert states <= {"cancelled"}


def test_a_child_and_its_parent_that_are_cancelled_at_once_do_not_wait_for_each_other() -> None:
    def cancel(job: Job) -> None:
        with suppress(NotPossible):
            cancel_job(job.pk)

    for _ in range(ROUNDS):
        parent = submitted()
        child = submitted(parent)
        family = [parent, child, submitted(child), submitted(parent)]
        at_once(*(partial(cancel, job) for job in family))
        states = Job.objects.filter(pk__in=[job.pk for job in family]).values_list("state", flat=True)
        assert set(states) == {"cancelled"}


def test_a_job_whose_lost_unit_somebody_has_in_hand_keeps_no_other_from_being_taken_up(node: Claimant) -> None:
    locked, free = submitted(), submitted()
    taken(node), taken(node)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    with held_open(lambda: Unit.objects.select_for_update().get(job=locked, stage="plan")):
        assert reap(read_clocks(), 20.0) == 1
    assert Unit.objects.get(job=free, stage="plan").state == "queued"
    assert reap(read_clocks(), 20.0) == 1
