"""What one node at a time does for the cluster, what it does for jobs that nobody moves, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.kinds import JobKind
from clustercore.jobs.models import Job, JobEvent, Sweep, Unit
from clustercore.jobs.services import advance, ready
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.jobs.services.sweep import Looked, Sweeper, finish_forgotten_jobs, look, sweep
from tests.cast import LAPTOP, start_node
from tests.integration.jobs.conftest import failing_for, with_parts

pytestmark = pytest.mark.services

AGE = 2.5


@pytest.fixture
def swept_long_ago(db: None) -> None:
    """A cluster that was swept, an hour ago."""
    Sweep.objects.create(swept_at=Now() - timedelta(hours=1), timed_at=Now() - timedelta(hours=1))


def test_whoever_looks_first_takes_the_sweep_and_the_others_none(swept_long_ago: None) -> None:
    assert [look(AGE).takes_sweep for _ in range(3)] == [True, False, False]
    Sweep.objects.update(swept_at=F("swept_at") - timedelta(seconds=AGE))
    assert [look(2 * AGE).takes_sweep, look(AGE).takes_sweep] == [False, True]


def test_a_ledger_that_was_never_swept_is_swept_at_the_second_look(db: None) -> None:
    assert [look(AGE).takes_sweep for _ in range(3)] == [False, True, False]


def test_a_clock_that_was_set_back_puts_no_sweep_off(swept_long_ago: None) -> None:
    Sweep.objects.update(swept_at=Now() + timedelta(hours=1))
    assert [look(AGE).takes_sweep for _ in range(2)] == [True, False]


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_another_that_takes_the_sweep() -> None:
    Sweep.objects.create(swept_at=Now() - timedelta(hours=1))
    taken, over = Event(), Event()

    def take() -> bool:
        try:
            with transaction.atomic():
                took = look(AGE).takes_sweep
                taken.set()
                over.wait(20)
                return took
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        another = pool.submit(take)
        assert taken.wait(20)
        assert not look(AGE).takes_sweep
        over.set()
        assert another.result(20)
    assert not look(AGE).takes_sweep


def test_what_is_due_at_a_time_is_taken_by_one_node_and_only_when_it_is_due(swept_long_ago: None) -> None:
    _, (unit,) = with_parts(1)
    Unit.objects.filter(pk=unit.pk).update(deadline=Now() + timedelta(hours=1))
    assert [look(AGE).takes_timers for _ in range(2)] == [False, False]
    Unit.objects.filter(pk=unit.pk).update(deadline=Now() - timedelta(minutes=1))
    assert [look(AGE).takes_timers for _ in range(2)] == [True, False]
    # It is due still: whoever took it may have died.
    Sweep.objects.update(timed_at=F("timed_at") - timedelta(seconds=1))
    assert look(AGE).takes_timers
    Job.objects.update(state="paused")
    Sweep.objects.update(timed_at=F("timed_at") - timedelta(seconds=1))
    assert not look(AGE).takes_timers


def test_a_job_of_which_nothing_is_open_is_moved_on() -> None:
    job, _ = with_parts(1)
    Unit.objects.filter(job=job).exclude(stage="total").update(state="done")
    finish_forgotten_jobs()
    assert list(Unit.objects.filter(job=job, stage="total").values_list("state", flat=True)) == ["queued"]


@pytest.mark.parametrize(
    "waits", [{"state": "held", "hold_reason": "a person is asked"}, {"state": "blocked", "join_until": Now()}]
)
def test_jobs_that_wait_for_a_person_or_a_time_cost_a_sweep_nothing(waits: dict[str, object]) -> None:
    for _ in range(3):
        with_parts(1)
    Unit.objects.exclude(state="done").update(**waits)
    with CaptureQueriesContext(connection) as queries:
        finish_forgotten_jobs()
    assert len(queries) == 1
    assert set(Job.objects.values_list("state", flat=True)) == {"running"}


def test_a_job_that_waits_for_a_person_in_vain_ends_though_whoever_broke_it_was_killed() -> None:
    job, (asked, broken) = with_parts(2)
    Unit.objects.filter(pk=asked.pk).update(state="held", hold_reason="a person is asked")
    Unit.objects.filter(pk=broken.pk).update(state="failed", error="no such file")
    finish_forgotten_jobs()
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", f"part {broken.ordinal}: no such file")


@pytest.mark.parametrize(("tolerance", "ends"), [(1.0, False), (0.5, False), (0.3, True)])
def test_what_a_stage_bears_ends_no_job_that_waits_for_a_person(
    tolerance: float, ends: bool, sums: JobKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearing = [replace(stage, tolerance=tolerance) if stage.name == "part" else stage for stage in sums.stages]
    monkeypatch.setitem(kinds._KINDS, "sums", replace(sums, stages=tuple(bearing)))
    job, (asked, broken) = with_parts(2)
    Unit.objects.filter(pk=asked.pk).update(state="held", hold_reason="a person is asked")
    Unit.objects.filter(pk=broken.pk).update(state="failed", error="no such file")
    with CaptureQueriesContext(connection) as queries:
        finish_forgotten_jobs()
    assert (Job.objects.get(pk=job.pk).state == "failed", len(queries) > 1) == (ends, ends)


def test_a_whole_sweep_reads_and_writes_nothing_where_all_jobs_wait_for_a_person() -> None:
    for _ in range(3):
        with_parts(1)
    Unit.objects.exclude(state="done").update(state="held", hold_reason="a person is asked")
    with CaptureQueriesContext(connection) as queries:
        sweep(read_clocks(), 20.0, None)
    written = [query["sql"] for query in queries if query["sql"].lstrip().startswith(("INSERT", "UPDATE"))]
    assert written == []


def test_all_jobs_that_wait_are_told_why_at_once_and_once() -> None:
    start_node(LAPTOP)
    jobs = [with_parts(1, engine="elsewhere")[0] for _ in range(5)]
    explain_waiting_jobs()
    told = JobEvent.objects.filter(name="waiting").order_by("job").values_list("job", "text")
    assert [job for job, _ in told] == sorted(job.pk for job in jobs)
    assert {f"waiting: {job.waiting}" for job in Job.objects.all()} == {text for _, text in told}
    with CaptureQueriesContext(connection) as queries:
        explain_waiting_jobs()
    assert len(queries) == 2
    Unit.objects.filter(stage="part").update(state="held")
    explain_waiting_jobs()
    assert set(Job.objects.values_list("waiting", flat=True)) == {""}


def test_a_forgotten_job_that_cannot_be_moved_on_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (broken, _), (job, _) = with_parts(1), with_parts(1)
    Unit.objects.exclude(stage="total").update(state="done")
    monkeypatch.setattr(advance, "look_at", _failing_first(broken, advance.look_at))
    finish_forgotten_jobs()
    opened = Unit.objects.filter(stage="total", state="queued")
    assert list(opened.values_list("job", flat=True)) == [job.pk]


def _failing_first(broken: Job, look_at: Callable[[Job], None]) -> Callable[[Job], None]:
    fails = failing_for(broken)
    return lambda job: look_at(job) if fails(job) else None


def test_however_many_nodes_sweep_in_turn_the_list_is_tidied_as_often(
    swept_long_ago: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(ready, "tidy_ready", lambda: done.append("tidied"))
    monkeypatch.setattr(ready, "repair_ready", lambda: done.append("repaired"))
    with_parts(1)
    nodes = [Sweeper(lambda now: now) for _ in range(3)]
    for second in (0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30):
        sweep_at(second, nodes[second % 3])
    assert (done.count("tidied"), done.count("repaired")) == (4, 2)


def sweep_at(second: int, node: Sweeper) -> None:
    """As if the last sweep was then, in a minute that has just begun, and this one is three seconds later."""
    last, this = 600.0 + second - 3, 600.0 + second
    seen = Looked(read_clocks(), is_open=True, takes_sweep=True, takes_timers=False, sweeps=(last, this))
    node._sweep(seen, seen.reading, 20.0, None, is_settled=False)


def test_whoever_takes_a_sweep_is_told_when_the_last_one_was(swept_long_ago: None) -> None:
    last, this = look(AGE).sweeps
    assert this - last == pytest.approx(3600, abs=60)
    assert look(AGE).sweeps == (0.0, 0.0)
