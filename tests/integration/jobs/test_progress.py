"""How far jobs are, as the ledger tells it, in a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.line import Place
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.progress import JobProgress, NodeShare
from clustercore.jobs.domain.verdict import Done, Retry
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.units import (
    attempts_by_job,
    attempts_of,
    latest_events,
    pieces_by_job,
    units_of,
)
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.leases import extend_leases
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.integration.jobs.conftest import submitted, with_parts

SERVED = {"engine": "faster-whisper", "model": "small", "rung": 3, "seconds": 2.0, "audio_seconds": 8.0}


def taken_by(node: Node) -> Claimed:
    taken = claim(as_claimant(node))
    assert taken is not None
    return taken


def progress_of(job: Job) -> JobProgress:
    [found] = job_progress(Job.objects.filter(pk=job.pk), with_shares=True)
    return found


def test_only_the_units_that_people_count_make_the_fraction() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(4)
    settle(taken_by(node).key, Done({}), served_by=SERVED)
    half = taken_by(node)
    extend_leases(node.instance, {half.key: 0.5}, 20.0)

    found = progress_of(job)

    assert (found.done, found.running, found.failed, found.total) == (1, 1, 0, 4)
    assert found.fraction == pytest.approx(1.5 / 4)
    assert found.all_queued
    assert found.shares == (
        NodeShare(
            node=LAPTOP,
            served_by="faster-whisper:small",
            done=1,
            running=1,
            work_seconds=2.0,
            audio_seconds=8.0,
            rung=3,
        ),
    )


def test_while_the_stage_before_runs_more_units_may_come() -> None:
    job = submitted()
    assert not progress_of(job).all_queued
    assert progress_of(job).total == 0


def test_the_number_of_queries_does_not_grow_with_the_jobs() -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            jobs = job_progress(Job.objects.order_by("-id")[:50], with_shares=True)
            pieces_by_job(jobs)
            ids = [job.id for job in jobs]
            attempts_by_job(ids)
            latest_events(ids, 5)
        return len(captured)

    start_node(LAPTOP)
    with_parts(2)
    few = queries()
    for _ in range(5):
        with_parts(3)
    assert queries() == few


def test_a_sliced_query_set_keeps_its_order() -> None:
    jobs = [submitted() for _ in range(3)]
    found = job_progress(Job.objects.order_by("-id")[:2])
    assert [job.id for job in found] == [jobs[2].pk, jobs[1].pk]


def test_a_unit_shows_its_latest_attempt_and_the_timeline_every_one() -> None:
    laptop, workstation = start_node(LAPTOP), start_node(WORKSTATION)
    job, [part] = with_parts(1, min_rung=0)
    settle(taken_by(laptop).key, Retry("no room", not_here=True, delay_seconds=0.0))
    settle(taken_by(workstation).key, Done({}), served_by=SERVED)

    [shown] = [unit for unit in units_of(job.pk) if unit.id == part.pk]
    assert (shown.state, shown.attempts, shown.node, shown.served_by) == (
        "done",
        2,
        WORKSTATION,
        "faster-whisper:small",
    )
    assert shown.speed == 4.0
    lines = attempts_of(job.pk)
    assert [(line.node, line.outcome, line.reason) for line in lines[:1]] == [(LAPTOP, "retry", "no room")]
    assert [(line.node, line.stage, line.served_by) for line in lines[1:]] == [
        (WORKSTATION, "part", "faster-whisper:small")
    ]


def test_the_grid_holds_the_pieces_of_each_job_by_ordinal() -> None:
    start_node(LAPTOP)
    first, _ = with_parts(3)
    second, _ = with_parts(2)
    grid = pieces_by_job(job_progress(Job.objects.all()))
    assert [unit.ordinal for unit in grid[first.pk]] == [0, 1, 2]
    assert [unit.stage for unit in grid[second.pk]] == ["part", "part"]


def test_a_kind_that_nobody_knows_here_counts_all_its_units() -> None:
    job, _ = with_parts(2)
    Job.objects.filter(pk=job.pk).update(kind="from-a-newer-version")
    found = progress_of(job)
    assert (found.total, found.all_queued) == (Unit.objects.filter(job=job).count(), False)
    assert len(pieces_by_job([found])[job.pk]) == 4


def test_a_story_is_told_from_its_end() -> None:
    job, _ = with_parts(1)
    [told] = latest_events([job.pk], 1)[job.pk]
    assert told.text == "submitted: add them up"


def test_what_has_not_begun_waits_in_line_and_what_has_begun_runs() -> None:
    node = start_node(LAPTOP)
    first, second = submitted(), submitted()
    urgent = submitted(priority=5)
    assert [progress_of(job).standing for job in (first, second, urgent)] == ["waiting"] * 3
    assert [progress_of(job).place.number for job in (urgent, first, second)] == [1, 2, 3]  # type: ignore[union-attr]
    taken_by(node)
    assert (progress_of(urgent).standing, progress_of(urgent).place) == ("running", None)
    assert progress_of(first).place == Place(number=1, starts_in_seconds=None)


def test_once_speeds_and_lengths_are_measured_a_job_in_line_tells_when_it_may_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = start_node(LAPTOP)
    first, [part] = with_parts(1)
    Unit.objects.filter(pk=part.pk).update(weight=600.0)
    settle(taken_by(node).key, Done({}), served_by={**SERVED, "seconds": 60.0})
    queue_units(fake_kinds.SUMS, first.pk, [NewUnit(stage="part", ordinal=1, weight=3000.0)])
    waits = submitted()
    place = progress_of(waits).place
    assert place is not None and place.starts_in_seconds == 300.0
    # A command that only looks knows kinds by their outlines.
    monkeypatch.setattr(kinds, "_OUTLINES", {fake_kinds.SUMS.name: fake_kinds.SUMS.outline})
    monkeypatch.setattr(kinds, "_KINDS", {})
    assert progress_of(waits).place == place


def test_the_time_in_which_nothing_was_in_hand_is_told_apart_and_what_ran_side_by_side_counts_once() -> None:
    laptop = start_node(LAPTOP, slots=2)
    job, _ = with_parts(2)
    for taken in (taken_by(laptop), taken_by(laptop)):
        settle(taken.key, Done({}), served_by=SERVED)
    began = Now() - timedelta(seconds=100)
    Job.objects.filter(pk=job.pk).update(created=began)
    Attempt.objects.update(started=began + timedelta(seconds=90), ended=began + timedelta(seconds=94))
    found = progress_of(job)
    assert found.worked_seconds == pytest.approx(4.0)
    assert found.waited_seconds == pytest.approx(96.0, abs=2.0)
    assert found.speed == pytest.approx(16.0 / 4.0)


def test_the_stage_shown_is_what_is_waited_for_when_nothing_is_done() -> None:
    job, _ = with_parts(2)
    assert Job.objects.get(pk=job.pk).stage == "plan"
    assert progress_of(job).stage == "part"
