"""Who may have which unit, and in which order."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from clustercore.jobs.domain.kinds import NewUnit
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.selectors.eligibility import below_floor, claimable
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.control import pause_job
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import queue_units
from clustercore.nodes.models import Node, NodeModel
from tests.cast import LAPTOP, PI, WORKSTATION, as_claimant, start_node, stop_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.integration.jobs.conftest import submitted, with_parts


def test_the_hinted_unit_is_taken_when_nothing_is_better() -> None:
    node = start_node(LAPTOP)
    _, parts = with_parts(3)
    taken = claim(as_claimant(node), parts[1].pk)
    assert taken is not None
    assert (taken.unit_id, taken.attempt_number, taken.ordinal) == (parts[1].pk, 1, 1)


def test_a_unit_is_taken_once_and_a_second_bell_finds_nothing() -> None:
    node = start_node(LAPTOP)
    _, parts = with_parts(1)
    assert claim(as_claimant(node), parts[0].pk) is not None
    assert claim(as_claimant(node), parts[0].pk) is None
    assert Attempt.objects.count() == 1


def test_a_bell_for_work_that_is_gone_takes_the_next_best_unit() -> None:
    node = start_node(LAPTOP)
    _, parts = with_parts(2)
    taken = claim(as_claimant(node), parts[1].pk + 1000)
    assert taken is not None and taken.unit_id == parts[0].pk


def test_the_job_of_higher_priority_goes_first_whatever_the_hint_says() -> None:
    node = start_node(LAPTOP)
    _, ordinary = with_parts(2)
    urgent, _ = with_parts(1, priority=10)
    taken = claim(as_claimant(node), ordinary[0].pk)
    assert taken is not None and taken.job_id == urgent.pk


def test_two_jobs_of_equal_priority_share_the_slots() -> None:
    node = as_claimant(start_node(LAPTOP))
    first, _ = with_parts(4)
    second, _ = with_parts(4)
    taken = [claim(node, None) for _ in range(4)]
    assert sorted(unit.job_id for unit in taken if unit) == [first.pk, first.pk, second.pk, second.pk]


def test_a_short_job_does_not_wait_behind_a_long_one_on_a_node_with_one_slot() -> None:
    node = start_node(LAPTOP)
    long, _ = with_parts(5)
    first = claim(as_claimant(node), None)
    assert first is not None
    settle(first.key, Done({}))
    short, _ = with_parts(1)
    following = claim(as_claimant(node), None)
    assert following is not None and (first.job_id, following.job_id) == (long.pk, short.pk)


def test_a_drained_node_takes_nothing_even_before_it_hears_of_it() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    Node.objects.filter(pk=node.pk).update(drained=True)
    assert claim(as_claimant(node), None) is None


def test_a_paused_job_gives_nothing() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(2)
    pause_job(job.pk)
    assert claim(as_claimant(node), None) is None


def test_a_unit_that_is_not_due_waits() -> None:
    node = start_node(LAPTOP)
    _, parts = with_parts(1)
    Unit.objects.filter(pk=parts[0].pk).update(run_after=timezone.now() + timedelta(hours=1))
    assert claim(as_claimant(node), parts[0].pk) is None


def test_a_node_without_the_capability_gets_nothing() -> None:
    node = start_node(LAPTOP)
    node.capabilities = ["media"]
    with_parts(1)
    assert claim(as_claimant(node), None) is None


def test_a_node_more_than_one_rung_below_the_best_live_one_takes_no_part_and_knows_why() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    with_parts(1)
    assert claim(as_claimant(pi), None) is None
    [why] = below_floor(pi.pk, pi.capabilities)
    assert (why.floor, why.best_here, why.best_anywhere, why.best_node) == (
        4,
        "pocketsphinx:en-us",
        "faster-whisper:large-v3",
        WORKSTATION,
    )


def test_when_the_better_node_leaves_the_lower_rung_takes_part_by_itself() -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    with_parts(1)
    stop_node(workstation)
    assert claim(as_claimant(pi), None) is not None


def test_a_user_may_let_every_rung_take_part() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    with_parts(1, min_rung=0)
    taken = claim(as_claimant(pi), None)
    assert taken is not None and taken.minimum_rung == 0


def test_after_the_stated_wait_every_rung_may_take_part() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    job, _ = with_parts(1, accept_lower_after=60.0)
    assert claim(as_claimant(pi), None) is None
    Job.objects.filter(pk=job.pk).update(created=Now() - timedelta(seconds=61))
    assert claim(as_claimant(pi), None) is not None


def test_critical_accuracy_takes_the_best_rung_only() -> None:
    workstation, laptop = start_node(WORKSTATION), start_node(LAPTOP)
    with_parts(1, critical_accuracy=True)
    assert claim(as_claimant(laptop), None) is None
    assert claim(as_claimant(workstation), None) is not None


def test_a_language_the_node_does_not_hear_is_not_for_it() -> None:
    pi = start_node(PI)
    with_parts(1, language="de")
    assert claim(as_claimant(pi), None) is None
    assert claimable(pi.pk, pi.capabilities, 5) == []


def test_an_engine_the_user_insists_on_is_the_only_one_that_serves() -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    with_parts(1, engine="pocketsphinx")
    assert claim(as_claimant(workstation), None) is None
    assert claim(as_claimant(pi), None) is not None


def test_unranked_stages_run_on_any_node_with_the_capability() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    submitted()
    taken = claim(as_claimant(pi), None)
    assert taken is not None and taken.stage == "plan"


@pytest.mark.django_db(transaction=True)
def test_many_nodes_claiming_at_once_take_each_unit_exactly_once() -> None:
    claimants = [as_claimant(start_node(LAPTOP, slots=8)) for _ in range(8)]
    with_parts(40)
    taken: list[Claimed] = []

    def take_all(claimant_number: int) -> None:
        while (found := claim(claimants[claimant_number], None)) is not None:
            taken.append(found)
        connection.close()

    threads = [threading.Thread(target=take_all, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    while (found := claim(claimants[0], None)) is not None:
        taken.append(found)
    assert sorted(unit.ordinal for unit in taken) == list(range(40))
    assert Attempt.objects.count() == 40


def test_a_part_that_needs_more_than_its_stage_goes_to_a_node_that_can_and_sets_the_floor_among_those() -> None:
    best, able = start_node(WORKSTATION), start_node(PI)
    Node.objects.filter(pk=able.pk).update(capabilities=["media", "stt", "translate"])
    able.refresh_from_db()
    NodeModel.objects.create(
        node=able, capability="translate", engine="faster-whisper", model="tiny", languages=["*"], rung=1
    )
    job = submitted(language="de")
    Unit.objects.filter(job=job).update(state="done")
    queue_units(fake_kinds.SUMS, job.pk, [NewUnit(stage="part", ordinal=0, capability="translate")])
    assert claim(as_claimant(best), None) is None
    taken = claim(as_claimant(able), None)
    assert taken is not None
    assert (taken.stage, taken.minimum_rung) == ("part", 0)
