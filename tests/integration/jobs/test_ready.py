"""The list of ready work: what puts a job on it, and what takes it off."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.verdict import Hold, Retry
from clustercore.jobs.models import Demand, Job, Ready, Unit
from clustercore.jobs.services.available import claimable
from clustercore.jobs.services.claim import Claimant, claim
from clustercore.jobs.services.control import cancel_job, edit_job, pause_job, resume_job, retry_job
from clustercore.jobs.services.floors import keep_floors
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.ready import UNUSED_MINUTES, mark_due, repair_ready, tidy_ready
from clustercore.jobs.services.settle import settle
from clustercore.nodes.models import Node
from tests.cast import PI, WORKSTATION, as_claimant, start_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.integration.jobs.conftest import submitted, taken, with_parts


def listed(job: Job) -> list[tuple[str, list[str] | None, int | None]]:
    """The stages of a job for which there is work, and what they ask, those that are due."""
    rows = Ready.objects.filter(job=job, is_due=True).order_by("demand__stage")
    return list(rows.values_list("demand__stage", "demand__job_needs", "demand__min_rung"))


def put_off(job: Job) -> list[str]:
    return list(Ready.objects.filter(job=job, is_due=False).values_list("demand__stage", flat=True))


def test_a_job_is_listed_for_what_is_queued_and_not_for_what_is_blocked_or_held(node: Claimant) -> None:
    job = submitted()
    assert listed(job) == [("plan", [], 0)]
    fake_kinds.HELD.append("until the language is known")
    queue_units(fake_kinds.SUMS, job.pk, [NewUnit(stage="part", ordinal=0)])
    assert listed(job) == [("plan", [], 0)]


def test_many_units_that_are_queued_one_by_one_write_their_row_once(node: Claimant) -> None:
    job, parts = with_parts(50)
    tidy_ready()
    Unit.objects.filter(job=job).update(state="failed")
    Ready.objects.filter(job=job).delete()
    with connection.cursor() as cursor:
        written = "SELECT n_tup_ins + n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'jobs_ready'"
        cursor.execute(written)
        before = cursor.fetchone()[0]
        Unit.objects.filter(job=job, stage="part").update(state="queued")
        cursor.execute(written)
        assert cursor.fetchone()[0] == before + 1
    assert listed(job) == [("part", ["lang:en"], None)]
    assert len(claimable(node.node_id, node.capabilities, 60)) == len(parts)


def test_the_last_unit_takes_its_job_off_the_list(node: Claimant) -> None:
    job, _ = with_parts(2)
    tidy_ready()
    taken(node)
    assert listed(job) == [("part", ["lang:en"], None)]
    taken(node)
    assert not Ready.objects.exists()


def test_what_is_tried_again_later_is_listed_for_then(node: Claimant) -> None:
    job, _ = with_parts(1)
    tidy_ready()
    settle(taken(node).key, Retry("busy", delay_seconds=60.0))
    assert (listed(job), put_off(job)) == ([], ["part"])
    assert mark_due() == 0
    Unit.objects.filter(job=job).update(run_after=F("run_after") - timedelta(seconds=61))
    assert listed(job) == [("part", ["lang:en"], None)]
    assert claim(node) is not None


def test_what_was_put_off_comes_due_by_itself(node: Claimant) -> None:
    job, _ = with_parts(1)
    tidy_ready()
    settle(taken(node).key, Hold("the quota is used up", seconds=60.0))
    Ready.objects.update(due_at=Now() - timedelta(seconds=1))
    assert mark_due() == 1
    assert listed(job) == [("part", ["lang:en"], None)]


def test_a_job_of_which_only_later_work_is_left_stands_in_nobodys_way(node: Claimant) -> None:
    job, parts = with_parts(3)
    tidy_ready()
    Unit.objects.filter(pk__in=[parts[1].pk, parts[2].pk]).update(run_after=Now() + timedelta(seconds=60))
    taken(node)
    assert (listed(job), put_off(job)) == ([], ["part"])
    assert Ready.objects.filter(due_at__gt=Now() + timedelta(seconds=50)).exists()


def test_needs_that_come_to_be_known_move_a_job_to_those_that_meet_them() -> None:
    start_node(WORKSTATION)
    pi = start_node(PI)
    job, _ = with_parts(1, needs=None, min_rung=0)
    Unit.objects.filter(job=job, stage="plan").update(state="done")
    tidy_ready()
    assert listed(job) == [("part", None, 0)]
    Job.objects.filter(pk=job.pk).update(needs=["lang:de"])
    assert listed(job) == [("part", ["lang:de"], 0)]
    assert claim(as_claimant(pi)) is None


def test_a_floor_that_is_decided_moves_a_job(node: Claimant) -> None:
    start_node(WORKSTATION)
    job, _ = with_parts(1)
    tidy_ready()
    keep_floors(600.0, may_fall=False)
    assert listed(job) == [("part", ["lang:en"], 4)]
    assert claim(node) is None


def test_a_wait_that_somebody_asked_for_is_told_when_it_is_over() -> None:
    start_node(WORKSTATION)
    job, _ = with_parts(1, accept_lower_after=60.0)
    keep_floors(600.0, may_fall=False)
    Job.objects.filter(pk=job.pk).update(created=Now() - timedelta(seconds=61))
    keep_floors(600.0, may_fall=False)
    job.refresh_from_db()
    assert job.floor == 0
    assert "any rung may serve" in job.events.get(name="floor").text


def test_another_priority_changes_the_order_at_once(node: Claimant) -> None:
    with_parts(1)
    later, _ = with_parts(1)
    edit_job(later.pk, priority=5)
    assert taken(node).job_id == later.pk


def test_a_paused_job_is_listed_again_when_it_goes_on(node: Claimant) -> None:
    job, _ = with_parts(2)
    tidy_ready()
    pause_job(job.pk)
    assert not Ready.objects.exists()
    resume_job(job.pk)
    assert listed(job) == [("part", ["lang:en"], None)]


def test_a_cancelled_job_leaves_the_list_and_comes_back_when_it_is_tried_again(node: Claimant) -> None:
    job, _ = with_parts(2)
    cancel_job(job.pk)
    assert not Ready.objects.exists()
    retry_job(job.pk)
    tidy_ready()
    assert [stage for stage, *_ in listed(job)] == ["part"]
    assert taken(node).job_id == job.pk


def test_the_sweep_removes_what_was_left_behind_and_nothing_else(node: Claimant) -> None:
    job, _ = with_parts(2)
    other, _ = with_parts(1)
    Unit.objects.filter(job=job).update(state="done")
    tidy_ready()
    assert listed(job) == []
    assert listed(other) == [("part", ["lang:en"], None)]


def test_a_queued_unit_that_is_not_listed_is_found(node: Claimant, caplog: pytest.LogCaptureFixture) -> None:
    job, _ = with_parts(2)
    with_parts(1)
    assert repair_ready() == 0
    Ready.objects.filter(job=job).delete()
    assert repair_ready() == 1
    assert f"job {job.pk}" in caplog.text
    assert taken(node).job_id == job.pk


def test_work_that_is_listed_by_an_older_floor_is_found(node: Claimant) -> None:
    start_node(WORKSTATION)
    job, _ = with_parts(1)
    tidy_ready()
    keep_floors(600.0, may_fall=False)
    stale = Ready.objects.get(job=job)
    Job.objects.filter(pk=job.pk).update(floor=2)
    Ready.objects.filter(job=job).update(demand_id=stale.demand_id)
    assert claim(node) is None
    assert repair_ready() == 1
    assert listed(job) == [("part", ["lang:en"], 2)]
    assert claim(node) is not None


def test_numbers_of_another_server_are_forgotten_after_a_restore(node: Claimant) -> None:
    with_parts(1)
    Ready.objects.update(queued_by=2**40)
    repair_ready()
    assert set(Ready.objects.values_list("queued_by", flat=True)) == {0}


def test_what_nobody_asks_for_any_more_is_forgotten_after_a_while(node: Claimant) -> None:
    with_parts(1)
    tidy_ready()
    plan = Demand.objects.get(stage="plan")
    assert plan.unused_since is not None
    Demand.objects.update(unused_since=Now() - timedelta(minutes=UNUSED_MINUTES + 1))
    tidy_ready()
    assert list(Demand.objects.values_list("stage", flat=True)) == ["part"]
    assert Demand.objects.get().unused_since is None


@pytest.mark.parametrize("wish", [{"engine": "somebody-elses"}, {"needs": ("lang:de",)}, {"min_rung": 4}])
def test_looking_past_jobs_that_are_not_for_a_node_reads_nothing_of_them(wish: dict[str, object]) -> None:
    pi = start_node(PI)
    for _ in range(3):
        with_parts(2, **wish)
    tidy_ready()
    few = rows_read(pi)
    for _ in range(60):
        with_parts(2, **wish)
    tidy_ready()
    assert rows_read(pi) == few


def rows_read(node: Node) -> int:
    """How many rows of jobs, units and the list a look and a claim read that find nothing."""
    rows = (
        "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables "
        "WHERE relname IN ('jobs_job', 'jobs_unit', 'jobs_ready')"
    )
    with connection.cursor() as cursor:
        cursor.execute(rows)
        before = int(cursor.fetchone()[0])
        assert claimable(node.pk, node.capabilities, 4) == []
        assert claim(as_claimant(node)) is None
        cursor.execute(rows)
        return int(cursor.fetchone()[0]) - before


@pytest.mark.parametrize(("language", "needs"), [("de", ["lang:de"]), ("", []), (None, None)])
def test_the_migration_makes_a_need_of_what_a_job_said_of_its_language(
    language: str | None, needs: list[str] | None
) -> None:
    job, _ = with_parts(1, needs=(), language=language)
    tidy_ready()
    with connection.cursor() as cursor:
        cursor.execute(import_module("clustercore.jobs.migrations.0021_traits").FILLED)
    job.refresh_from_db()
    assert job.needs == needs
    assert listed(job) == [("part", needs, None)]
