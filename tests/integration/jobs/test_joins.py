"""Units that wait for units: a panel of four candidates, a quorum of two, and an operation that rests on the vote."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import ANY, After, Join, NewUnit
from clustercore.jobs.domain.verdict import Done, Fail, Hold
from clustercore.jobs.models import Job, JobEvent, Unit, UnitAfter
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.claim import Claimant, claim
from clustercore.jobs.services.control import NotPossible, cancel_job, release_units, requeue_unit, retry_job
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle, settle_or_retry
from clustercore.jobs.services.submit import submit
from clustercore.jobs.services.timers import PAST_DEADLINE, run_due
from tests.fakes.jobs import panel
from tests.fakes.jobs.panel import PANEL, operation
from tests.integration.jobs.conftest import submitted, taken, with_parts

pytestmark = pytest.mark.usefixtures("panel")


def planned(node: Claimant, operations: int = 1) -> Job:
    """A job whose plan is done."""
    request = JobRequest(kind="panel", title="which way?", parameters={"operations": operations})
    job, _ = submit(None, request, backlog_limit=100)
    settle(taken(node).key, panel.planned(operations))
    return job


def names(job: Job, state: str) -> list[str]:
    units = Unit.objects.filter(job=job, state=state).order_by("id")
    return [f"{unit.stage} {unit.ordinal}" for unit in units]


def state_of(job: Job, stage: str, ordinal: int = 0) -> str:
    return str(Unit.objects.get(job=job, stage=stage, ordinal=ordinal).state)


def test_the_units_that_follow_a_result_are_queued_with_it(node: Claimant) -> None:
    job = planned(node)
    assert names(job, "queued") == ["ask 0", "ask 1", "ask 2", "ask 3"]
    assert names(job, "blocked") == ["conclude 0", "vote 0"]


def test_the_vote_opens_once_with_the_second_answer_and_the_others_change_nothing(node: Claimant) -> None:
    job = planned(node)
    first, second, third = taken(node), taken(node), taken(node)
    settle(first.key, Done({}))
    assert state_of(job, "vote") == "blocked"
    settle(second.key, Done({}))
    assert state_of(job, "vote") == "queued"
    settle(third.key, Done({}))
    vote = taken(node)
    assert vote.stage == "vote"
    settle(vote.key, Done({}))
    settle(taken(node).key, Done({}))
    assert state_of(job, "vote") == "done"


def test_operations_go_in_their_order_and_the_conclusion_comes_last(node: Claimant) -> None:
    job = planned(node, operations=2)
    order = []
    while (unit := claim(node)) is not None:
        order.append(f"{unit.stage} {unit.ordinal}")
        settle(unit.key, Done({}))
    assert order.index("vote 0") < min(order.index(f"ask {ordinal}") for ordinal in range(4, 8))
    assert order.index("ask 5") < order.index("vote 1") and order[-1] == "conclude 0"
    job.refresh_from_db()
    assert (job.state, job.gaps) == ("done", 0)


def test_a_vote_that_cannot_have_its_quorum_goes_on_with_the_one_answer_there_is(node: Claimant) -> None:
    job = planned(node)
    for _ in range(3):
        settle(taken(node).key, Fail("the model is gone"))
    assert state_of(job, "vote") == "blocked"
    settle(taken(node).key, Done({}))
    assert state_of(job, "vote") == "queued"
    for _ in range(2):
        settle(taken(node).key, Done({}))
    job.refresh_from_db()
    assert (job.state, job.gaps) == ("done", 3)
    assert JobEvent.objects.filter(job=job, text="done, with 3 gaps").exists()


def test_a_vote_without_any_answer_fails_and_with_it_the_job_which_names_what_failed(node: Claimant) -> None:
    job = planned(node)
    for number in range(4):
        settle(taken(node).key, Fail(f"model {number} is gone"))
    job.refresh_from_db()
    assert job.state == "failed"
    assert job.error.startswith("ask 0: model 0 is gone; ask 1: model 1 is gone")
    assert names(job, "cancelled") == [] and names(job, "failed")[-1:] == ["vote 0"]


def test_what_is_held_is_waited_for(node: Claimant) -> None:
    job = planned(node)
    for verdict in (Done({}), Fail("gone"), Fail("gone"), Hold("somebody must look")):
        settle(taken(node).key, verdict)
    assert state_of(job, "vote") == "blocked"
    job.refresh_from_db()
    assert job.state == "running"


def test_at_its_time_a_vote_goes_on_with_what_there_is(node: Claimant) -> None:
    job = planned(node)
    Unit.objects.filter(job=job, stage="vote").update(join_until=Now() + timedelta(hours=1))
    settle(taken(node).key, Done({}))
    assert run_due(read_clocks(), 20.0) == 0
    Unit.objects.filter(job=job, stage="vote").update(join_until=Now() - timedelta(seconds=1))
    assert run_due(read_clocks(), 20.0) == 1
    assert state_of(job, "vote") == "queued"
    assert run_due(read_clocks(), 20.0) == 0


def test_a_time_is_counted_from_when_the_unit_was_queued(node: Claimant) -> None:
    job = planned(node)
    queue_units(PANEL, job.pk, operation(1, until_seconds=3600))
    vote = Unit.objects.get(job=job, stage="vote", ordinal=1)
    assert vote.join_until is not None
    assert abs((vote.join_until - vote.created).total_seconds() - 3600) < 1


def test_a_unit_that_was_not_begun_by_its_deadline_is_overdue_and_closed(node: Claimant) -> None:
    job = planned(node)
    begun = taken(node)
    Unit.objects.filter(job=job, stage="ask").update(deadline=Now() - timedelta(seconds=1))
    assert claim(node) is None, "nobody looked yet, and it is not begun all the same"
    assert run_due(read_clocks(), 20.0) == 1
    assert names(job, "overdue") == ["ask 1", "ask 2", "ask 3"]
    assert Unit.objects.filter(job=job, state="overdue").values_list("error", flat=True)[0] == PAST_DEADLINE
    settle(begun.key, Done({}))
    assert state_of(job, "vote") == "queued"


def test_a_unit_whose_inputs_are_closed_already_is_opened_at_once(node: Claimant) -> None:
    job = planned(node)
    settle(taken(node).key, Done({}))
    late = NewUnit(stage="vote", ordinal=7, after=[After(stage="ask", ordinal=0), After(stage="plan")], join=ANY)
    queue_units(PANEL, job.pk, [late])
    assert state_of(job, "vote", 7) == "queued"


@pytest.mark.parametrize("ordinal", [9, 10])
def test_a_unit_that_waits_for_none_that_is_there_before_it_is_refused(node: Claimant, ordinal: int) -> None:
    job = planned(node)
    units = [NewUnit(stage="vote", ordinal=9, after=[After(stage="vote", ordinal=ordinal)])]
    with pytest.raises(ValueError, match=f"vote {ordinal}, which does not stand before it"):
        queue_units(PANEL, job.pk, units)


@pytest.mark.parametrize(
    ("stage", "told"),
    [("conclude", "not over before vote is"), ("vote", "not over before vote is"), ("veto", "has no such stage")],
)
def test_a_stage_that_cannot_be_over_before_is_refused(node: Claimant, stage: str, told: str) -> None:
    job = planned(node)
    with pytest.raises(ValueError, match=told):
        queue_units(PANEL, job.pk, [NewUnit(stage="vote", ordinal=9, after=[After(stage=stage)])])


def test_a_plan_whose_units_are_refused_is_a_failed_try_that_says_why(node: Claimant) -> None:
    job, _ = submit(None, JobRequest(kind="panel", title="which way?"), backlog_limit=100)
    wrong = Done({}, then=[NewUnit(stage="vote", ordinal=0, after=[After(stage="conclude")])])
    settle_or_retry(taken(node).key, wrong, {})
    plan = Unit.objects.get(job=job, stage="plan")
    assert (plan.state, plan.failures, "vote 0 waits for all of conclude" in plan.error) == ("queued", 1, True)
    assert names(job, "blocked") == ["conclude 0"]


def test_an_input_that_is_named_twice_counts_once(node: Claimant) -> None:
    job = planned(node)
    twice = [After(stage="ask", ordinal=ordinal) for ordinal in (0, 0, 1)]
    queue_units(PANEL, job.pk, [NewUnit(stage="vote", ordinal=9, after=twice, join=Join(quorum=2))])
    settle(taken(node).key, Done({}))
    assert state_of(job, "vote", 9) == "blocked"
    settle(taken(node).key, Done({}))
    assert state_of(job, "vote", 9) == "queued"


def till_noon(_job_id: int) -> str:
    return "till noon"


def test_what_is_to_be_held_is_held_when_its_inputs_are_there(node: Claimant, monkeypatch: pytest.MonkeyPatch) -> None:
    job = planned(node)
    stages = tuple(replace(one, held=till_noon if one.name == "vote" else None) for one in PANEL.stages)
    monkeypatch.setitem(kinds._KINDS, "panel", replace(PANEL, stages=stages))
    for _ in range(2):
        settle(taken(node).key, Done({}))
    vote = Unit.objects.get(job=job, stage="vote")
    assert (vote.state, vote.hold_reason) == ("held", "till noon")
    release_units(job.pk, ["vote"])
    assert state_of(job, "vote") == "queued"


def test_a_job_with_stages_of_another_version_is_neither_ended_nor_harmed_here(node: Claimant) -> None:
    job = planned(node)
    Unit.objects.filter(job=job, stage="vote").update(stage="veto")
    late = NewUnit(stage="conclude", ordinal=7, after=[After(stage="ask")])
    queue_units(PANEL, job.pk, [late])
    UnitAfter.objects.filter(unit__ordinal=7).update(stage="veto")
    for answered in [taken(node) for _ in range(4)]:
        assert settle(answered.key, Done({})) == "counted"
    job.refresh_from_db()
    assert (job.state, state_of(job, "veto"), state_of(job, "conclude", 7)) == ("running", "queued", "blocked")
    Unit.objects.filter(job=job, stage="veto").update(state="failed")
    with pytest.raises(NotPossible, match="does not know: veto"):
        retry_job(job.pk)


@pytest.mark.parametrize("groups", [2, 20])
def test_however_many_groups_are_open_one_of_them_ends_in_as_many_statements(node: Claimant, groups: int) -> None:
    job, _ = submit(None, JobRequest(kind="panel", title="pages"), backlog_limit=100)
    pages = [NewUnit(stage="ask", ordinal=number, group=f"page {number}") for number in range(groups)]
    votes = [
        NewUnit(stage="vote", ordinal=number, after=[After(stage="ask", group=f"page {number}")])
        for number in range(groups)
    ]
    settle(taken(node).key, Done({}, then=[*pages, *votes]))
    answered = taken(node)
    with CaptureQueriesContext(connection) as queries:
        settle(answered.key, Done({}))
    assert (names(job, "queued").count("vote 0"), names(job, "blocked").count("vote 1")) == (1, 1)
    assert len(queries) <= 30


def test_a_group_is_waited_for_by_itself(node: Claimant) -> None:
    job = planned(node)
    groups = [NewUnit(stage="ask", ordinal=20 + number, group=f"page {number // 2}") for number in range(4)]
    joins = [NewUnit(stage="vote", ordinal=20 + n, after=[After(stage="ask", group=f"page {n}")]) for n in range(2)]
    Unit.objects.filter(job=job, stage="ask").update(state="done")
    queue_units(PANEL, job.pk, [*groups, *joins])
    for _ in range(2):
        settle(taken(node).key, Done({}))
    assert (state_of(job, "vote", 20), state_of(job, "vote", 21)) == ("queued", "blocked")


def test_of_the_units_of_a_job_the_one_of_higher_priority_is_taken_first(node: Claimant) -> None:
    job, _ = with_parts(2)
    queue_units(kinds.kind_named("sums"), job.pk, [NewUnit(stage="part", ordinal=9, priority=5)])
    assert taken(node).ordinal == 9


def test_a_candidate_that_is_tried_again_is_waited_for_while_the_vote_has_not_opened(node: Claimant) -> None:
    job = planned(node)
    for verdict in (Fail("gone"), Fail("gone"), Done({})):
        settle(taken(node).key, verdict)
    requeue_unit(Unit.objects.get(job=job, stage="ask", ordinal=0).pk)
    vote = Unit.objects.get(job=job, stage="vote")
    assert (vote.open_inputs, vote.done_inputs, vote.state) == (2, 1, "blocked")
    settle(taken(node).key, Done({}))
    assert state_of(job, "vote") == "queued"


def test_a_failed_job_that_is_tried_again_waits_for_its_inputs_anew(node: Claimant) -> None:
    job = planned(node)
    for _ in range(4):
        settle(taken(node).key, Fail("gone"))
    retry_job(job.pk)
    assert (names(job, "queued"), names(job, "blocked")) == (
        ["ask 0", "ask 1", "ask 2", "ask 3"],
        ["conclude 0", "vote 0"],
    )
    while (unit := claim(node)) is not None:
        settle(unit.key, Done({}))
    job.refresh_from_db()
    assert job.state == "done"


def test_a_part_that_is_tried_again_makes_what_was_made_of_it_anew(node: Claimant) -> None:
    job = planned(node)
    for verdict in (Fail("gone"), Done({}), Done({}), Done({}), Done({}), Done({})):
        settle(taken(node).key, verdict)
    job.refresh_from_db()
    assert (job.state, job.gaps) == ("done", 1)
    retry_job(job.pk)
    assert names(job, "blocked") == ["conclude 1"]
    settle(taken(node).key, Done({}))
    settle(taken(node).key, Done({}))
    job.refresh_from_db()
    assert (job.state, job.gaps) == ("done", 0)
    assert names(job, "done")[-1] == "conclude 1"


def test_cancelling_a_job_cancels_those_that_are_done_for_it(node: Claimant) -> None:
    parent = planned(node)
    child, _ = submit(None, JobRequest(kind="panel", title="a part of it", parent_id=parent.pk), backlog_limit=100)
    over, _ = submit(None, JobRequest(kind="panel", title="another", parent_id=parent.pk), backlog_limit=100)
    cancel_job(over.pk)
    cancel_job(parent.pk)
    child.refresh_from_db()
    assert child.state == "cancelled"
    assert f"job {parent.pk}" in child.error
    with pytest.raises(NotPossible):
        cancel_job(child.pk)


def test_a_job_from_before_barriers_were_there_from_the_start_gets_its_own(node: Claimant) -> None:
    job, _ = with_parts(1)
    Unit.objects.filter(job=job, stage="total").delete()
    settle(taken(node).key, Done({}))
    assert state_of(job, "total") == "queued"
    assert advance(job.pk) == "running"


def test_units_that_wait_for_each_other_end_the_job_instead_of_waiting_for_ever(node: Claimant) -> None:
    job = planned(node)
    Unit.objects.filter(job=job, stage="ask").update(state="done")
    assert advance(job.pk) == "failed"
    job.refresh_from_db()
    assert "nothing can open it" in job.error


def test_what_waits_for_a_stage_does_not_run_where_the_stage_before_it_failed(node: Claimant) -> None:
    job = submitted()
    settle(taken(node).key, Fail("this holds no numbers"))
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "this holds no numbers")
    assert Unit.objects.get(job=job, stage="total").attempts_made == 0
