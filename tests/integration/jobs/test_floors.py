"""The floor of a job: decided once, kept through two minutes of heat, let fall after the wait."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.domain.floor import FloorSeen
from clustercore.jobs.models import Job, JobEvent
from clustercore.jobs.services import floors
from clustercore.jobs.services.available import below_floor, claimable
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.clock import _shift
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.jobs.services.floors import keep_floors
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, PI, WORKSTATION, as_claimant, start_node, stop_node
from tests.integration.jobs.conftest import first_of, with_parts

WAIT = 600.0


def hold(node: Node, reason: str = "87 degrees") -> None:
    Node.objects.filter(pk=node.pk).update(hold_reason=reason)


def pass_time(job: Job, seconds: float) -> None:
    """As if what has been noted of its floor were older."""
    Job.objects.filter(pk=job.pk).update(floor_unserved_since=F("floor_unserved_since") - timedelta(seconds=seconds))


def look(job: Job) -> int | None:
    keep_floors(WAIT, may_fall=True)
    job.refresh_from_db()
    return job.floor


def may_serve(node: Node) -> bool:
    return bool(claimable(node.pk, node.capabilities, 1))


def test_a_node_that_is_held_for_two_minutes_does_not_change_who_may_serve() -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    job, _ = with_parts(2)
    assert look(job) == 4
    hold(workstation)
    assert look(job) == 4
    pass_time(job, 120)
    assert look(job) == 4
    assert not may_serve(pi) and claim(as_claimant(pi)) is None
    hold(workstation, "")
    assert look(job) == 4
    assert job.floor_unserved_since is None
    assert claim(as_claimant(workstation)) is not None


def test_a_job_that_begins_while_the_best_node_is_held_waits_for_it_too() -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    hold(workstation)
    job, _ = with_parts(1)
    assert claim(as_claimant(pi)) is None
    assert look(job) == 4


@pytest.mark.parametrize("leave", [hold, stop_node])
def test_after_the_wait_lower_rungs_serve_and_the_job_tells_it(leave: Callable[[Node], None]) -> None:
    workstation, laptop, pi = start_node(WORKSTATION), start_node(LAPTOP), start_node(PI)
    job, _ = with_parts(2)
    look(job)
    leave(workstation)
    look(job)
    pass_time(job, WAIT + 1)
    assert look(job) == 2
    assert may_serve(laptop) and not may_serve(pi)
    [event] = JobEvent.objects.filter(job=job, name="floor")
    assert "for 10 min: rung 2 and better may serve" in event.text


def test_a_better_node_that_joins_later_leaves_the_others_at_work() -> None:
    pi = start_node(PI)
    job, _ = with_parts(2)
    assert look(job) == 0
    start_node(WORKSTATION)
    assert look(job) == 0
    assert may_serve(pi)


def test_the_job_says_what_it_waits_for_and_until_when() -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    job, _ = with_parts(1)
    look(job)
    hold(workstation)
    explain_waiting_jobs()
    job.refresh_from_db()
    assert "reaches rung 4" in job.waiting and "lasted 10 min" in job.waiting
    assert "workstation: 87 degrees" in job.waiting
    [why] = below_floor(pi.pk, pi.capabilities)
    assert (why.floor, why.best_node) == (4, WORKSTATION)
    stop_node(workstation)
    [why] = below_floor(pi.pk, pi.capabilities)
    assert (why.floor, why.best_node) == (4, "")


def test_what_somebody_asked_for_is_no_matter_of_a_decision() -> None:
    start_node(WORKSTATION)
    for wish in ({"min_rung": 0}, {"engine": "pocketsphinx"}, {"needs": None}):
        job, _ = with_parts(1, **wish)
        assert look(job) is None


def test_the_wait_is_not_over_because_the_clock_was_set() -> None:
    workstation = start_node(WORKSTATION)
    start_node(PI)
    job, _ = with_parts(1)
    look(job)
    hold(workstation)
    look(job)
    pass_time(job, 3600)
    _shift(3600.0, 20.0)
    assert look(job) == 4


def test_the_floors_of_many_jobs_are_decided_with_few_statements() -> None:
    start_node(WORKSTATION)
    jobs = [with_parts(1)[0].pk for _ in range(12)]
    with CaptureQueriesContext(connection) as asked:
        keep_floors(WAIT, may_fall=True)
    assert len(asked) < len(jobs)
    assert set(Job.objects.filter(pk__in=jobs).values_list("floor", flat=True)) == {4}


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_in_other_hands_is_decided_at_the_next_look() -> None:
    start_node(WORKSTATION)
    busy, free = with_parts(1)[0], with_parts(1)[0]
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Job.objects.select_for_update().get(pk=busy.pk)
        pool.submit(look_elsewhere).result(20)
        assert dict(Job.objects.values_list("pk", "floor")) == {busy.pk: None, free.pk: 4}
    assert look(busy) == 4


def look_elsewhere() -> None:
    try:
        keep_floors(WAIT, may_fall=True)
    finally:
        connections.close_all()


@pytest.mark.parametrize("fails", ["next_floor", "job_changed"])
def test_a_job_whose_floor_cannot_be_kept_keeps_no_other_from_its_own(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_node(WORKSTATION)
    (broken, _), (job, _) = with_parts(1), with_parts(1)
    kept = getattr(floors, fails)

    def keep(job_or_seen: FloorSeen | int, *wishes: float, **named: bool) -> object:
        if broken.pk == (job_or_seen if isinstance(job_or_seen, int) else job_or_seen.job_id):
            raise ValueError("what is written of this job cannot be read")
        return kept(job_or_seen, *wishes, **named)

    monkeypatch.setattr(floors, fails, keep)
    look(job)
    broken.refresh_from_db()
    assert (broken.floor, job.floor) == (None, 4)


def test_the_rows_of_several_jobs_are_locked_in_order_before_their_floors_are_written() -> None:
    start_node(WORKSTATION)
    jobs = [with_parts(1)[0] for _ in range(3)]
    with CaptureQueriesContext(connection) as queries:
        look(jobs[0])
    locked = first_of(queries, "FROM jobs_ready WHERE job_id = ANY")
    assert "ORDER BY job_id, demand_id FOR UPDATE" in queries[locked]["sql"]
    assert first_of(queries, 'UPDATE "jobs_job" SET "floor"') == locked + 1
