"""Who may have which unit, and in which order."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.available import below_floor, claimable
from clustercore.jobs.services.claim import Claimant, Claimed, claim
from clustercore.jobs.services.control import pause_job
from clustercore.jobs.services.floors import keep_floors
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import submit
from clustercore.nodes.models import Node, NodeModel
from tests.cast import LAPTOP, PI, WORKSTATION, as_claimant, start_node, stop_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.integration.jobs.conftest import held_open, submitted, with_parts


def test_a_unit_is_taken_once() -> None:
    node = start_node(LAPTOP)
    _, parts = with_parts(1)
    taken = claim(as_claimant(node))
    assert taken is not None
    assert (taken.unit_id, taken.attempt_number, taken.ordinal) == (parts[0].pk, 1, 0)
    assert claim(as_claimant(node)) is None
    assert Attempt.objects.count() == 1


def test_the_job_of_higher_priority_goes_first() -> None:
    node = start_node(LAPTOP)
    with_parts(2)
    urgent, _ = with_parts(1, priority=10)
    taken = claim(as_claimant(node))
    assert taken is not None and taken.job_id == urgent.pk


def test_the_older_of_two_jobs_of_equal_priority_goes_first() -> None:
    node = as_claimant(start_node(LAPTOP))
    older, _ = with_parts(2)
    younger, _ = with_parts(2)
    taken = [claim(node) for _ in range(4)]
    assert [(unit.job_id, unit.ordinal) for unit in taken if unit] == [
        (older.pk, 0), (older.pk, 1), (younger.pk, 0), (younger.pk, 1),
    ]  # fmt: skip


def do_next(node: Claimant) -> tuple[int, str]:
    """Claims and does what is next; a plan makes one part. Returns the job and the stage."""
    unit = claim(node)
    assert unit is not None
    if unit.stage == "plan":
        queue_units(fake_kinds.SUMS, unit.job_id, [NewUnit(stage="part", ordinal=0)])
    settle(unit.key, Done({}))
    return unit.job_id, unit.stage


def test_with_many_jobs_and_one_slot_each_result_is_there_before_the_job_after_next_begins() -> None:
    node = as_claimant(start_node(LAPTOP))
    jobs = [submitted().pk for _ in range(10)]
    for _ in range(3 * len(jobs)):
        job_id, stage = do_next(node)
        if stage == "plan":
            ahead = jobs[: max(0, jobs.index(job_id) - 1)]
            assert Job.objects.filter(pk__in=ahead, state="done").count() == len(ahead)
    assert Job.objects.filter(state="done").count() == len(jobs)


def test_what_finishes_a_job_goes_before_older_work_of_the_same_priority() -> None:
    node = as_claimant(start_node(LAPTOP))
    older, _ = with_parts(3)
    younger, _ = with_parts(1)
    Unit.objects.filter(job=younger, stage="part").update(state="done")
    advance(younger.pk)
    assert [do_next(node) for _ in range(2)] == [(younger.pk, "total"), (older.pk, "part")]


def test_urgent_work_goes_before_what_finishes_a_job() -> None:
    node = as_claimant(start_node(LAPTOP))
    ordinary, _ = with_parts(1)
    assert do_next(node) == (ordinary.pk, "part")
    urgent, _ = with_parts(1, priority=10)
    assert [do_next(node) for _ in range(3)] == [(urgent.pk, "part"), (urgent.pk, "total"), (ordinary.pk, "total")]


def test_two_nodes_work_on_the_oldest_job_together_and_go_on_to_the_next_when_nothing_of_it_waits() -> None:
    nodes = [as_claimant(start_node(name)) for name in (WORKSTATION, LAPTOP)]
    first, _ = with_parts(3, min_rung=0)
    second, _ = with_parts(3, min_rung=0)
    taken = [claim(nodes[number % 2]) for number in range(4)]
    assert [unit.job_id for unit in taken if unit] == [first.pk, first.pk, first.pk, second.pk]


def test_a_job_that_this_node_cannot_do_does_not_stand_in_its_way() -> None:
    start_node(WORKSTATION)
    pi = as_claimant(start_node(PI))
    with_parts(1, needs=("lang:de",))
    able, _ = with_parts(1, engine="pocketsphinx")
    assert do_next(pi) == (able.pk, "part")


def test_a_paused_job_does_not_stand_in_the_way_of_the_next() -> None:
    node = as_claimant(start_node(LAPTOP))
    first, _ = with_parts(2)
    second, _ = with_parts(2)
    pause_job(first.pk)
    assert do_next(node) == (second.pk, "part")


def test_a_drained_node_takes_nothing_even_before_it_hears_of_it() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    Node.objects.filter(pk=node.pk).update(drained=True)
    assert claim(as_claimant(node)) is None


def test_a_paused_job_gives_nothing() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(2)
    pause_job(job.pk)
    assert claim(as_claimant(node)) is None


def test_a_unit_that_is_not_due_waits() -> None:
    node = start_node(LAPTOP)
    _, parts = with_parts(1)
    Unit.objects.filter(pk=parts[0].pk).update(run_after=timezone.now() + timedelta(hours=1))
    assert claim(as_claimant(node)) is None


def test_a_node_without_the_capability_gets_nothing() -> None:
    node = start_node(LAPTOP)
    node.capabilities = ["media"]
    with_parts(1)
    assert claim(as_claimant(node)) is None


def test_a_node_more_than_one_rung_below_the_best_live_one_takes_no_part_and_knows_why() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    with_parts(1)
    assert claim(as_claimant(pi)) is None
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
    assert claim(as_claimant(pi)) is not None


def test_a_user_may_let_every_rung_take_part() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    with_parts(1, min_rung=0)
    taken = claim(as_claimant(pi))
    assert taken is not None and taken.minimum_rung == 0


def test_after_the_stated_wait_every_rung_may_take_part() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    job, _ = with_parts(1, accept_lower_after=60.0)
    assert claim(as_claimant(pi)) is None
    Job.objects.filter(pk=job.pk).update(created=Now() - timedelta(seconds=61))
    keep_floors(600.0, may_fall=False)
    assert claim(as_claimant(pi)) is not None


def test_critical_accuracy_takes_the_best_rung_only() -> None:
    workstation, laptop = start_node(WORKSTATION), start_node(LAPTOP)
    with_parts(1, critical_accuracy=True)
    assert claim(as_claimant(laptop)) is None
    assert claim(as_claimant(workstation)) is not None


def test_a_language_the_node_does_not_hear_is_not_for_it() -> None:
    pi = start_node(PI)
    with_parts(1, needs=("lang:de",))
    assert claim(as_claimant(pi)) is None
    assert claimable(pi.pk, pi.capabilities, 5) == []


def test_a_need_of_one_unit_alone_is_met_or_the_unit_waits() -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    job = submitted(min_rung=0)
    Unit.objects.filter(job=job).update(state="done")
    queue_units(
        fake_kinds.SUMS, job.pk, [NewUnit(stage="part", ordinal=0, needs=["tools"]), NewUnit(stage="part", ordinal=1)]
    )
    NodeModel.objects.filter(node=pi).update(traits=["lang:en", "tools"])
    first = claim(as_claimant(workstation))
    assert first is not None and (first.ordinal, list(first.needs)) == (1, ["lang:en"])
    assert claim(as_claimant(workstation)) is None
    second = claim(as_claimant(pi))
    assert second is not None and (second.ordinal, sorted(second.needs)) == (0, ["lang:en", "tools"])


def test_what_a_stage_prefers_is_waited_for_while_a_live_node_offers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    stages = tuple(replace(stage, prefers=("tools",)) for stage in fake_kinds.SUMS.stages)
    preferring = replace(fake_kinds.SUMS, stages=stages)
    monkeypatch.setitem(kinds._KINDS, "sums", preferring)
    job = submitted(min_rung=0)
    Unit.objects.filter(job=job).update(state="done")
    queue_units(preferring, job.pk, [NewUnit(stage="part", ordinal=0)])
    NodeModel.objects.filter(node=workstation).update(traits=["lang:*", "tools"])
    assert claim(as_claimant(pi)) is None
    stop_node(workstation)
    found = claim(as_claimant(pi))
    assert found is not None and list(found.prefers) == ["tools"]


def test_an_engine_the_user_insists_on_is_the_only_one_that_serves() -> None:
    workstation, pi = start_node(WORKSTATION), start_node(PI)
    with_parts(1, engine="pocketsphinx")
    assert claim(as_claimant(workstation)) is None
    assert claim(as_claimant(pi)) is not None


def test_unranked_stages_run_on_any_node_with_the_capability() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    submitted()
    taken = claim(as_claimant(pi))
    assert taken is not None and taken.stage == "plan"


@pytest.mark.django_db(transaction=True)
def test_many_nodes_claiming_at_once_take_each_unit_exactly_once() -> None:
    claimants = [as_claimant(start_node(LAPTOP, slots=8)) for _ in range(8)]
    with_parts(40)
    taken: list[Claimed] = []

    def take_all(claimant_number: int) -> None:
        while (found := claim(claimants[claimant_number])) is not None:
            taken.append(found)
        connection.close()

    threads = [threading.Thread(target=take_all, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    while (found := claim(claimants[0])) is not None:
        taken.append(found)
    assert sorted(unit.ordinal for unit in taken) == list(range(40))
    assert Attempt.objects.count() == 40


@pytest.mark.django_db(transaction=True)
def test_a_node_that_was_too_late_for_a_job_takes_the_next_one() -> None:
    claimants = [as_claimant(start_node(LAPTOP, slots=8)) for _ in range(8)]
    jobs = [with_parts(1)[0].pk for _ in range(40)]
    taken: list[int] = []

    def take_all(claimant: Claimant) -> None:
        while (found := claim(claimant)) is not None:
            taken.append(found.job_id)
        connection.close()

    threads = [threading.Thread(target=take_all, args=[claimant]) for claimant in claimants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # Nobody looks again: whoever is told that nothing is left must not have been beaten by another.
    assert sorted(taken) == jobs


def pages_read(node: Node) -> int:
    """How many pages of the database a claim asks for, whatever others do meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PAGES)
        before = int(cursor.fetchone()[0])
        assert claim(as_claimant(node)) is not None
        cursor.execute(_PAGES)
        return int(cursor.fetchone()[0]) - before


_PAGES = """
SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i')
"""
_WIDE = """
INSERT INTO jobs_unit (job_id, stage, ordinal, capability, ranked, payload, weight, state, attempts_made, failures,
                       strikes, excluded_nodes, progress, error, hold_reason, created)
SELECT %s, 'part', n, 'stt', true, '{}', 30, 'queued', 0, 0, 0, '{}', 0, '', '', now()
FROM generate_series(1, 20000) AS n
"""


@pytest.mark.django_db(transaction=True)
def test_a_claim_reads_little_though_one_job_holds_nearly_all_units() -> None:
    node = start_node(LAPTOP)
    wide = submitted(priority=-1)
    Unit.objects.update(state="done")
    with connection.cursor() as cursor:
        cursor.execute(_WIDE, [wide.pk])
        cursor.execute("ANALYZE jobs_unit, jobs_job")
    small = JobRequest(kind="sums", title="small", needs=("lang:en",))
    jobs = [submit(None, small, backlog_limit=10**9)[0] for _ in range(6)]
    assert max(pages_read(node) for _ in jobs) < 300
    Job.objects.filter(pk=wide.pk).update(priority=1)
    assert pages_read(node) < 300


def test_a_part_that_needs_more_than_its_stage_goes_to_a_node_that_can_and_sets_the_floor_among_those() -> None:
    best, able = start_node(WORKSTATION), start_node(PI)
    Node.objects.filter(pk=able.pk).update(capabilities=["media", "stt", "translate"])
    able.refresh_from_db()
    NodeModel.objects.create(
        node=able, capability="translate", engine="faster-whisper", model="tiny", traits=["lang:*"], rung=1
    )
    job = submitted(needs=("lang:de",))
    Unit.objects.filter(job=job).update(state="done")
    queue_units(fake_kinds.SUMS, job.pk, [NewUnit(stage="part", ordinal=0, capability="translate")])
    assert claim(as_claimant(best)) is None
    taken = claim(as_claimant(able))
    assert taken is not None
    assert (taken.stage, taken.minimum_rung) == ("part", 0)


@pytest.mark.parametrize("seconds", [1e18, float("inf"), float("nan")])
def test_a_wait_that_no_clock_can_count_keeps_nobody_from_claiming(seconds: float) -> None:
    node = as_claimant(start_node(LAPTOP))
    with_parts(1, accept_lower_after=seconds)
    assert claim(node) is not None


@pytest.mark.django_db(transaction=True)
def test_a_unit_that_somebody_refers_to_just_now_is_not_passed_over() -> None:
    node = as_claimant(start_node(LAPTOP))
    _, parts = with_parts(2)

    def refer() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM jobs_unit WHERE id = %s FOR KEY SHARE", [parts[0].pk])

    with held_open(refer):
        taken = claim(node)
        assert taken is not None and taken.unit_id == parts[0].pk
