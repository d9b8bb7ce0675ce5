"""A database whose clock is set: leases, waits and nodes' last words move with it, once, and it is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.blobs.models import Blob, Upload
from clustercore.blobs.selectors import reserved_bytes, settled_blobs, uploads_of
from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.verdict import Ask, Done
from clustercore.jobs.models import Attempt, Counter, Job, JobEvent, Question, Sweep, Unit
from clustercore.jobs.services.answering import expire_questions
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.clock import ClockWatch, _shift, follow_step
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.sweep import Sweeper
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.fakes.nodes.polling import until
from tests.integration.jobs.conftest import first_of, with_parts
from tests.integration.jobs.letters import letter
from tests.people import person

pytestmark = pytest.mark.services

LEASE = 20.0
HOUR = 3600.0
WEEK = 7 * 24 * HOUR
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def before_a_step_of(seconds: float) -> ClockReading:
    """What the clocks said just before the database's was set by so much."""
    now = read_clocks()
    return replace(now, database=now.database - seconds)


def set_clock(seconds: float) -> None:
    """What rows written before the step look like after it."""
    delta = timedelta(seconds=seconds)
    Attempt.objects.filter(outcome="live").update(lease_until=F("lease_until") - delta)
    Node.objects.update(last_seen=F("last_seen") - delta)
    Unit.objects.update(run_after=F("run_after") - delta, excluded_until=F("excluded_until") - delta)
    Question.objects.update(until=F("until") - delta)
    Upload.objects.update(expires=F("expires") - delta, moved=F("moved") - delta)
    Blob.objects.update(stamped=F("stamped") - delta)


def held_by(name: str) -> Claimed:
    found = claim(as_claimant(start_node(name), LEASE), None)
    assert found is not None
    return found


def served() -> int:
    """The job whose part a node does now."""
    done = held_by(LAPTOP)
    settle(done.key, Done({"value": 1}))
    return done.job_id


def seconds_left(column: str, table: str = "jobs_attempt") -> float:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT extract(epoch FROM {column} - now())::float8 FROM {table} WHERE {column} IS NOT NULL")
        return float(cursor.fetchone()[0])


def reaped() -> int | None:
    return reap(read_clocks(), LEASE)


def test_a_clock_set_forward_ends_no_lease() -> None:
    with_parts(1)
    held_by(LAPTOP)
    set_clock(HOUR)
    follow_step(before_a_step_of(HOUR), LEASE)
    assert seconds_left("lease_until") == pytest.approx(LEASE, abs=2)
    assert reaped() == 0


def test_a_clock_set_forward_by_less_than_a_lease_shortens_none() -> None:
    with_parts(1)
    held_by(LAPTOP)
    set_clock(LEASE - 2)
    follow_step(before_a_step_of(LEASE - 2), LEASE)
    assert seconds_left("lease_until") == pytest.approx(LEASE, abs=1)


def test_a_clock_set_back_keeps_no_lease_for_as_long_as_it_was_ahead() -> None:
    with_parts(1)
    held_by(LAPTOP)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    set_clock(-HOUR)
    assert reaped() == 0
    follow_step(before_a_step_of(-HOUR), LEASE)
    assert reaped() == 1


def test_a_node_that_is_gone_is_offline_though_the_clock_was_set_back() -> None:
    node = start_node(LAPTOP)
    Node.objects.update(last_seen=Now() - timedelta(minutes=1))
    set_clock(-HOUR)
    follow_step(before_a_step_of(-HOUR), LEASE)
    node.refresh_from_db()
    assert seconds_left("last_seen", "nodes_node") == pytest.approx(-60, abs=2)


def test_a_node_that_lives_stays_online_though_the_clock_was_set_forward() -> None:
    start_node(LAPTOP)
    set_clock(HOUR)
    follow_step(before_a_step_of(HOUR), LEASE)
    assert seconds_left("last_seen", "nodes_node") == pytest.approx(0, abs=2)


def test_a_retry_is_due_when_it_was_though_the_clock_was_set_back() -> None:
    with_parts(1)
    Unit.objects.filter(stage="part").update(run_after=Now() + timedelta(seconds=8))
    set_clock(-HOUR)
    follow_step(before_a_step_of(-HOUR), LEASE)
    assert seconds_left("run_after", "jobs_unit") == pytest.approx(8, abs=2)


@pytest.mark.django_db(transaction=True)
def test_units_are_moved_in_the_order_in_which_everybody_locks_them() -> None:
    _, (first, second) = with_parts(2)
    Unit.objects.update(run_after=Now() + timedelta(hours=2))
    # Written last, the first unit is found last by whoever reads the table as it lies.
    Unit.objects.filter(pk=first.pk).update(weight=F("weight"))
    seen = before_a_step_of(-HOUR)

    def follow() -> None:
        try:
            follow_step(seen, LEASE)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Unit.objects.select_for_update().get(pk=first.pk)
            following = pool.submit(follow)
            until(somebody_waits_for_a_lock, 20)
            assert Unit.objects.select_for_update(nowait=True).get(pk=second.pk) == second
        following.result(20)


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        # Within a transaction a connection that was opened since the last look would not be seen.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return cursor.fetchone() is not None


def test_a_node_is_excluded_for_no_longer_though_the_clock_was_set_back() -> None:
    with_parts(1)
    Unit.objects.filter(stage="part").update(excluded_nodes=[1], excluded_until=Now() + timedelta(seconds=8))
    set_clock(-HOUR)
    follow_step(before_a_step_of(-HOUR), LEASE)
    assert seconds_left("excluded_until", "jobs_unit") == pytest.approx(8, abs=2)


def test_a_job_during_which_the_clock_was_set_back_makes_no_count_fall() -> None:
    job, _ = with_parts(1)
    served()
    Job.objects.filter(pk=job.pk).update(created=Now() + timedelta(hours=1))
    served()
    assert Job.objects.get(pk=job.pk).state == "done"
    counts = dict(Counter.objects.values_list("name", "value"))
    assert {name: value for name, value in counts.items() if value < 0} == {}
    assert counts["jobs.took/sums/ms"] == 0


def test_a_step_that_one_node_followed_is_followed_by_no_other() -> None:
    job, _ = with_parts(1)
    held_by(LAPTOP)
    set_clock(-HOUR)
    seen_by_both = before_a_step_of(-HOUR)
    follow_step(seen_by_both, LEASE)
    left = seconds_left("lease_until")
    follow_step(seen_by_both, LEASE)
    assert seconds_left("lease_until") == pytest.approx(left, abs=2)
    assert Counter.objects.get(pk="clock.steps").value == 1
    assert JobEvent.objects.get(job=job, name="clock_step").text.startswith("the hub's clock was set back by 1 h 0 min")


def test_a_node_that_starts_between_a_step_and_its_discovery_does_not_take_it_back() -> None:
    seen_by_another = before_a_step_of(-HOUR)
    started_just_now = ClockWatch()
    started_just_now.follow(read_clocks(), LEASE)
    follow_step(seen_by_another, LEASE)
    started_just_now.follow(read_clocks(), LEASE)
    assert Counter.objects.get(pk="clock.steps").value == 1


def test_a_node_that_is_wrong_about_the_clock_makes_no_lease_longer_than_a_lease() -> None:
    with_parts(1)
    held_by(LAPTOP)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    follow_step(before_a_step_of(HOUR), LEASE)
    assert seconds_left("lease_until") <= LEASE


def test_a_step_after_the_last_look_ends_nothing() -> None:
    with_parts(1)
    held_by(LAPTOP)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert reap(before_a_step_of(HOUR), LEASE) == 0
    assert Attempt.objects.get().outcome == "live"


def test_a_clock_that_was_not_set_is_followed_by_nobody() -> None:
    watch = ClockWatch()
    watch.follow(read_clocks(), LEASE)
    watch.follow(read_clocks(), LEASE)
    assert not Counter.objects.filter(pk="clock.steps").exists()


def begin_upload(*, hours_left: float, quiet_seconds: float = 0.0) -> None:
    """An upload that ends in so many hours, unless bytes come."""
    Upload.objects.create(
        owner=person("otto"),
        name="talk.flac",
        size=1000,
        created=Now(),
        moved=Now() - timedelta(seconds=quiet_seconds),
        expires=Now() + timedelta(hours=hours_left),
    )


def test_an_upload_goes_on_though_the_clock_was_set_forward() -> None:
    begin_upload(hours_left=20)
    set_clock(WEEK)
    begin_upload(hours_left=24)
    follow_step(before_a_step_of(WEEK), LEASE)
    ends = [(upload.expires - upload.moved).total_seconds() / HOUR for upload in Upload.objects.order_by("expires")]
    assert ends == pytest.approx([20, 24], abs=0.01)
    assert uploads_of(person("otto").pk).count() == 2
    assert sum(reserved_bytes().values()) == 2000


def test_an_upload_ends_when_it_would_have_though_the_clock_was_set_back() -> None:
    begin_upload(hours_left=20, quiet_seconds=100)
    set_clock(-WEEK)
    follow_step(before_a_step_of(-WEEK), LEASE)
    assert seconds_left("expires", "blobs_upload") == pytest.approx(20 * HOUR, abs=2)
    assert reserved_bytes() == {}


def test_an_upload_that_ended_before_the_clock_was_set_forward_does_not_come_back() -> None:
    begin_upload(hours_left=-1)
    set_clock(WEEK)
    follow_step(before_a_step_of(WEEK), LEASE)
    assert seconds_left("expires", "blobs_upload") == pytest.approx(-HOUR, abs=2)


@pytest.mark.parametrize("step", [WEEK, -WEEK])
def test_what_was_stored_of_late_is_still_of_late_and_what_was_not_is_not(step: float) -> None:
    Blob.objects.create(sha256="a" * 64, size=1)
    Blob.objects.create(sha256="b" * 64, size=1, stamped=Now() - timedelta(hours=2))
    set_clock(step)
    Blob.objects.create(sha256="c" * 64, size=1)
    follow_step(before_a_step_of(step), LEASE)
    assert [blob.sha256[0] for blob in settled_blobs()] == ["b"]
    assert Blob.objects.filter(stamped__gt=Now()).count() == 0


class Expired:
    """A lease that ran out, and a process that may end it once its grace is over."""

    def __init__(self) -> None:
        with_parts(1)
        self.held = held_by(WORKSTATION)
        Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
        self.extended_since: float | None = 0.0
        self.extended = float("inf")
        self.sweeper = Sweeper(lambda now: self.extended_since if now <= self.extended else None)

    def is_ended_at(self, now: float, *, look_seconds: float = 0.0) -> bool:
        """Whether a sweep at this second of the process's own clock ends it; nobody else has swept of late."""
        Sweep.objects.update_or_create(pk=1, defaults={"swept_at": LONG_AGO})
        read = iter([now, now + look_seconds])
        self.sweeper.sweep_if_due(lambda: next(read), LEASE)
        return Attempt.objects.get(pk=self.held.attempt_id).outcome == "expired"


def test_nothing_is_ended_within_a_lease_after_the_ledger_came_back() -> None:
    lease = Expired()
    assert not lease.is_ended_at(100.0)
    assert not lease.is_ended_at(119.0)
    lease.sweeper.hub_was_away()
    assert not lease.is_ended_at(130.0)
    assert not lease.is_ended_at(148.0)
    assert lease.is_ended_at(151.0)


def test_a_process_ends_nothing_before_its_own_leases_have_been_extended_for_a_lease() -> None:
    lease = Expired()
    lease.extended_since = None
    assert not lease.is_ended_at(100.0)
    assert not lease.is_ended_at(125.0)
    lease.extended_since = 130.0
    assert not lease.is_ended_at(149.0)
    assert lease.is_ended_at(151.0)


def test_nothing_is_ended_within_a_lease_after_the_database_started_anew() -> None:
    lease = Expired()
    assert not lease.is_ended_at(100.0)
    lease.sweeper._server_started -= 60.0
    assert not lease.is_ended_at(121.0)
    assert lease.is_ended_at(142.0)


def test_nothing_is_ended_by_a_sweep_whose_look_took_long_as_nobody_could_extend_meanwhile() -> None:
    lease = Expired()
    assert not lease.is_ended_at(100.0)
    assert not lease.is_ended_at(121.0, look_seconds=6.0)
    assert not lease.is_ended_at(146.0)
    assert lease.is_ended_at(148.0)


def test_nothing_is_ended_by_a_process_whose_own_leases_were_not_extended_while_it_looked() -> None:
    lease = Expired()
    assert not lease.is_ended_at(100.0)
    lease.extended = 121.0
    assert not lease.is_ended_at(121.0, look_seconds=4.0)


@pytest.mark.parametrize("step", [WEEK, -HOUR])
@pytest.mark.usefixtures("letters")
def test_whoever_is_asked_has_as_long_as_was_promised(step: float) -> None:
    letter()
    settle(held_by(LAPTOP).key, Ask("Send it?", ["approve"], until=600.0))
    set_clock(step)
    follow_step(before_a_step_of(step), LEASE)
    assert 590.0 < seconds_left("until", "jobs_question") <= 601.0


@pytest.mark.usefixtures("letters")
def test_a_clock_that_was_just_set_ends_no_question() -> None:
    letter()
    settle(held_by(LAPTOP).key, Ask("Send it?", ["approve"], until=600.0))
    set_clock(HOUR)
    assert expire_questions(before_a_step_of(HOUR), LEASE) == 0


def test_what_waits_is_locked_in_order_and_its_rows_of_the_ready_list_after_it_before_it_is_moved() -> None:
    _, (unit,) = with_parts(1)
    Unit.objects.filter(pk=unit.pk).update(run_after=Now() + timedelta(hours=1))
    with CaptureQueriesContext(connection) as queries:
        _shift(-10.0, LEASE)
    units = first_of(queries, "SELECT job_id FROM jobs_unit")
    assert first_of(queries, "FROM jobs_ready WHERE job_id = ANY") == units + 1
    assert first_of(queries, "UPDATE jobs_unit SET run_after") == units + 2
