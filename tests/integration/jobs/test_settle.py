"""What a verdict does: the fence, retries, strikes, and the stages that follow each other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.verdict import Crashed, Done, Fail, HandBack, Hold, Retry
from clustercore.jobs.models import Attempt, Counter, Job, Unit
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.control import (
    NotPossible,
    cancel_job,
    pause_job,
    remove_job,
    requeue_unit,
    resume_job,
    retry_job,
)
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.jobs.services.leases import extend_leases, reap
from clustercore.jobs.services.settle import EXCLUDED_SECONDS, Settled, settle
from clustercore.jobs.services.submit import BacklogFull, submit
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, PI, WORKSTATION, as_claimant, start_node
from tests.fakes.jobs.kinds import RECORDED, RUNG
from tests.integration.jobs.conftest import submitted, with_parts


def taken_by(node: Node) -> Claimed:
    found = claim(as_claimant(node))
    assert found is not None
    return found


def unit_of(claimed: Claimed) -> Unit:
    return Unit.objects.get(pk=claimed.unit_id)


def make_due() -> None:
    Unit.objects.update(run_after=None, avoid_node=None, avoid_until=None)


def test_the_last_part_opens_the_next_stage_and_that_one_ends_the_job() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(2)
    for _ in range(2):
        settle(taken_by(node).key, Done({"n": 1}))
    job.refresh_from_db()
    assert (job.state, job.stage) == ("running", "total")
    settle(taken_by(node).key, Done({}))
    job.refresh_from_db()
    assert job.state == "done" and job.finished is not None
    assert len(RECORDED) == 2


def test_a_result_whose_attempt_is_no_longer_live_changes_nothing_and_is_counted() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    late = taken_by(node)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert reap(read_clocks(), 20.0) == 1
    make_due()
    again = taken_by(node)
    assert settle(again.key, Done({"by": "second"})) is Settled.COUNTED
    assert settle(late.key, Done({"by": "first"})) is Settled.FENCED
    assert unit_of(late).result == {"by": "second"}
    assert Counter.objects.get(name="results.fenced").value == 1
    assert [late.unit_id] == RECORDED


def test_a_result_delivered_twice_is_stored_once() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    held = taken_by(node)
    assert settle(held.key, Done({})) is Settled.COUNTED
    assert settle(held.key, Done({})) is Settled.FENCED
    assert [held.unit_id] == RECORDED


def test_a_vanished_node_is_never_a_strike_however_often_it_happens() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(1)
    for _ in range(5):
        taken_by(node)
        Attempt.objects.filter(outcome="live").update(lease_until=Now() - timedelta(seconds=1))
        assert reap(read_clocks(), 20.0) == 1
        make_due()
    settle(taken_by(node).key, Done({}))
    settle(taken_by(node).key, Done({}))
    job.refresh_from_db()
    assert job.state == "done"
    assert Unit.objects.get(stage="part").strikes == 0


def test_another_node_gets_the_first_try_after_a_lost_lease() -> None:
    laptop, workstation = start_node(LAPTOP), start_node(WORKSTATION)
    with_parts(1, min_rung=0)
    taken_by(laptop)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    reap(read_clocks(), 20.0)
    assert claim(as_claimant(laptop)) is None
    assert claim(as_claimant(workstation)) is not None


def test_three_proved_crashes_make_a_unit_dead_and_the_job_says_so() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(1)
    for _ in range(3):
        settle(taken_by(node).key, Crashed("killed by SIGSEGV"))
        make_due()
    job.refresh_from_db()
    assert job.state == "failed"
    assert "SIGSEGV" in job.error and "clustercore retry" in job.error
    requeue_unit(Unit.objects.get(stage="part").pk)
    settle(taken_by(node).key, Done({}))
    settle(taken_by(node).key, Done({}))
    job.refresh_from_db()
    assert job.state == "done"


def test_a_retry_waits_longer_each_time_and_gives_up_in_the_end() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(1)
    waits = []
    for _ in range(8):
        held = taken_by(node)
        settle(held.key, Retry("the model is busy"))
        unit = unit_of(held)
        if unit.run_after is not None and unit.state == "queued":
            waits.append((unit.run_after - timezone.now()).total_seconds())
        make_due()
    assert [round(wait, 0) >= base for wait, base in zip(waits, (1, 2, 4, 8), strict=False)] == [True] * 4
    assert all(wait <= 10.5 for wait in waits)
    job.refresh_from_db()
    assert job.state == "failed" and "the model is busy" in job.error


def test_a_retry_elsewhere_excludes_the_node() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    held = taken_by(node)
    settle(held.key, Retry("no model here", not_here=True))
    make_due()
    assert claim(as_claimant(node)) is None
    assert claim(as_claimant(start_node(WORKSTATION)), None) is not None


def test_a_node_that_was_excluded_may_try_again_later() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    held = taken_by(node)
    settle(held.key, Retry("no model here", not_here=True))
    make_due()
    (remaining,) = Unit.objects.filter(pk=held.unit_id).annotate(left=F("excluded_until") - Now())
    assert 0 < remaining.left.total_seconds() <= EXCLUDED_SECONDS
    Unit.objects.filter(pk=held.unit_id).update(excluded_until=Now() - timedelta(minutes=1))
    assert claim(as_claimant(node)) is not None


def test_an_exclusion_that_is_over_does_not_come_back_with_the_next() -> None:
    laptop, workstation = start_node(LAPTOP), start_node(WORKSTATION)
    with_parts(1, min_rung=0)
    settle(taken_by(laptop).key, Retry("no model here", not_here=True))
    make_due()
    Unit.objects.update(excluded_until=Now() - timedelta(minutes=1))
    held = taken_by(workstation)
    settle(held.key, Retry("no model here", not_here=True))
    assert unit_of(held).excluded_nodes == [workstation.pk]


def test_reasons_to_wait_that_come_and_go_are_told_once_each() -> None:
    start_node(LAPTOP)
    job, _ = with_parts(1, min_rung=0)
    for broker_away in ("no such file", "", "no such file", "refused", "no such file", "refused"):
        explain_waiting_jobs(broker_away=broker_away)
    job.refresh_from_db()
    assert job.waiting == "the broker (Redis) does not answer: refused"
    told = job.events.filter(name="waiting").values_list("text", flat=True)
    assert [text.rpartition(": ")[2] for text in told] == ["no such file", "refused"]


def test_a_node_that_has_not_asked_the_broker_leaves_what_another_says_of_it() -> None:
    start_node(LAPTOP)
    job, _ = with_parts(1, min_rung=0)
    explain_waiting_jobs(broker_away="no such file")
    explain_waiting_jobs(broker_away=None)
    job.refresh_from_db()
    assert job.waiting == "the broker (Redis) does not answer: no such file"
    explain_waiting_jobs(broker_away="")
    job.refresh_from_db()
    assert job.waiting == ""


def test_a_node_that_is_held_is_named_with_its_reason_where_nothing_else_works() -> None:
    node = start_node(LAPTOP)
    Node.objects.filter(pk=node.pk).update(hold_reason="this machine has no disk space left")
    job, _ = with_parts(1)
    explain_waiting_jobs()
    job.refresh_from_db()
    assert f"{node.name}: this machine has no disk space left" in job.waiting


def test_a_hold_keeps_the_unit_with_its_reason_until_it_is_released() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    held = taken_by(node)
    settle(held.key, Hold("waiting for a person"))
    assert (unit_of(held).state, unit_of(held).hold_reason) == ("held", "waiting for a person")
    assert claim(as_claimant(node)) is None


def test_a_hold_for_a_while_is_no_failure_however_long_its_reason_is() -> None:
    with_parts(1)
    held = taken_by(start_node(LAPTOP))
    settle(held.key, Hold("the hub is away: " + "no route " * 100, seconds=5.0))
    unit = unit_of(held)
    assert (unit.state, unit.failures, len(unit.hold_reason)) == ("queued", 0, 400)


def test_what_a_node_lacks_something_for_is_tried_by_another_one_first() -> None:
    laptop, workstation = start_node(LAPTOP), start_node(WORKSTATION)
    with_parts(1, min_rung=0)
    settle(taken_by(laptop).key, Hold("the hub is away: its blobs do not answer", seconds=0.0, not_here=True))
    assert claim(as_claimant(laptop)) is None
    assert claim(as_claimant(workstation)) is not None


def test_a_hold_that_no_node_is_to_blame_for_keeps_none_from_it() -> None:
    laptop = start_node(LAPTOP)
    with_parts(1, min_rung=0)
    settle(taken_by(laptop).key, Hold("the hub's database is busy", seconds=0.0))
    assert claim(as_claimant(laptop)) is not None


def test_what_is_handed_back_is_queued_at_once_for_another_node() -> None:
    laptop, workstation = start_node(LAPTOP), start_node(WORKSTATION)
    with_parts(1, min_rung=0)
    settle(taken_by(laptop).key, HandBack("laptop is stopping"))
    assert claim(as_claimant(workstation)) is not None
    assert Attempt.objects.filter(outcome="handed_back").count() == 1


def test_one_part_that_fails_lets_the_others_finish_and_then_fails_the_job() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(2)
    settle(taken_by(node).key, Fail("cannot be read: cut it again"))
    job.refresh_from_db()
    assert job.state == "running"
    settle(taken_by(node).key, Done({}))
    job.refresh_from_db()
    assert job.state == "failed" and "cut it again" in job.error
    retry_job(job.pk)
    settle(taken_by(node).key, Done({}))
    settle(taken_by(node).key, Done({}))
    job.refresh_from_db()
    assert job.state == "done" and job.error == ""


def test_cancelling_ends_every_attempt_and_a_late_result_is_fenced() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(2)
    held = taken_by(node)
    cancel_job(job.pk)
    assert settle(held.key, Done({})) is Settled.FENCED
    assert extend_leases(node.instance, {held.key: 0.5}, 20.0) == {}
    assert set(Unit.objects.filter(stage="part").values_list("state", flat=True)) == {"cancelled"}
    with pytest.raises(NotPossible, match="already cancelled"):
        cancel_job(job.pk)


def test_a_lease_is_extended_only_for_the_process_that_holds_it() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    held = taken_by(node)
    stranger = start_node(WORKSTATION)
    assert extend_leases(stranger.instance, {held.key: 0.5}, 20.0) == {}
    assert extend_leases(node.instance, {held.key: 0.5}, 20.0) == {held.key: True}
    assert unit_of(held).progress == 0.5


def test_pause_and_resume_ring_again_for_what_waits(django_capture_on_commit_callbacks: object) -> None:
    job, parts = with_parts(2)
    pause_job(job.pk)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        resume_job(job.pk)
    assert [("part", [part.pk for part in parts])] == RUNG


def test_a_full_backlog_refuses_politely() -> None:
    with_parts(3)
    with pytest.raises(BacklogFull, match="try again in 60 s") as refused:
        submit(None, JobRequest(kind="sums", title="too much"), backlog_limit=3)
    assert refused.value.retry_after == 60


def test_advancing_at_any_time_is_harmless() -> None:
    job, _ = with_parts(1)
    assert advance(job.pk) == "running"
    assert advance(job.pk + 1) == "gone"
    assert Unit.objects.get(stage="total").state == "blocked"


def test_a_job_that_no_live_node_can_do_says_why_and_stops_saying_so_when_one_can() -> None:
    job, _ = with_parts(1, needs=("lang:de",))
    explain_waiting_jobs()
    job.refresh_from_db()
    assert "clustercore node" in job.waiting
    start_node(PI)
    explain_waiting_jobs()
    job.refresh_from_db()
    assert "lang:de" in job.waiting and "models list --available" in job.waiting
    start_node(LAPTOP)
    explain_waiting_jobs()
    job.refresh_from_db()
    assert job.waiting == ""


def test_only_a_job_that_has_ended_can_be_removed() -> None:
    job = submitted()
    with pytest.raises(NotPossible, match="cancel it first"):
        remove_job(job.pk)
    cancel_job(job.pk)
    remove_job(job.pk)
    assert not Job.objects.exists() and not Unit.objects.exists()
