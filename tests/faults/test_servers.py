"""Redis and PostgreSQL that die, forget, and come back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from clustercore.jobs.models import Unit
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.cluster import LEASE_SECONDS, Cluster, attempts_at, pieces_of, tried_again
from tests.faults.conftest import Record
from tests.faults.outages import IMMEDIATE, POSTGRES, REDIS, outage
from tests.faults.recording import Recording
from tests.faults.waiting import until

pytestmark = pytest.mark.services

OUTAGE_SECONDS = 5.0
PICKED_UP_SECONDS = 60.0


@pytest.fixture
def broker(cluster: Cluster) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as client:
        yield client


def passes(seconds: float) -> None:
    """The outage itself is the fault: it must really last."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, seconds + 1, "the clock stands")


def test_a_killed_redis_loses_no_work(cluster: Cluster, recordings: Callable[[str], Recording], record: Record) -> None:
    """F8: killed with -9, away for five seconds; nobody lends a hand."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.3")
    since = time.time()
    job = cluster.submit(recording)
    cluster.until_in_hand(job, LAPTOP)
    killed_at = time.time()
    with outage(cluster.data_directory, REDIS, signal.SIGKILL):
        passes(OUTAGE_SECONDS)
    back_at = time.time()
    cluster.until_done(job, 90)
    seen = cluster.judge({job.pk: recording}, since)
    record(
        "F8",
        **seen.as_json(),
        outage_s=round(back_at - killed_at, 2),
        done_after_return_s=round(time.time() - back_at, 2),
    )
    seen.assert_unharmed()
    assert seen.units_executed_again == 0
    assert all(cluster.workers[name].running for name in (WORKSTATION, LAPTOP))


@pytest.mark.fault
def test_a_redis_that_is_away_for_longer_than_a_lease_takes_no_piece_from_its_holder(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F8, longer: three leases without a broker, and every lease is extended all the while."""
    cluster.stop(WORKSTATION, LAPTOP)
    cluster.start(LAPTOP, CLUSTERCORE_SLOTS="2")
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="40.0")
    since = time.time()
    job = cluster.submit(recording)
    cluster.until_in_hand(job, LAPTOP)
    killed_at = time.time()
    with outage(cluster.data_directory, REDIS, signal.SIGKILL):
        passes(3 * LEASE_SECONDS)
    cluster.pull(seconds="0.1")
    cluster.until_done(job, 120)
    cluster.stop(LAPTOP)
    seen = cluster.judge({job.pk: recording}, since)
    record("F8-long", **seen.as_json(), outage_s=round(time.time() - killed_at, 2))
    seen.assert_unharmed()
    assert seen.units_executed_again == 0


def test_a_redis_that_dies_while_a_recording_is_cut_costs_no_attempt(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F8, while pieces are queued: they are in the ledger, their bells and their canvas cannot be sent."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    since = time.time()
    job = cluster.submit(recording)
    until(lambda: pieces_of(job).exists(), 30, "nothing was cut")
    with outage(cluster.data_directory, REDIS, signal.SIGKILL):
        passes(OUTAGE_SECONDS)
    back_at = time.time()
    cluster.until_done(job, 90)
    cut = Unit.objects.get(job=job, stage="cut")
    seen = cluster.judge({job.pk: recording}, since)
    record(
        "F8-cut", **seen.as_json(), done_after_return_s=round(time.time() - back_at, 2), cut_attempts=cut.attempts_made
    )
    seen.assert_unharmed()
    assert (cut.attempts_made, cut.failures) == (1, 0), attempts_at(cut)[0].reason
    assert seen.units_executed_again == 0


def test_an_emptied_redis_loses_no_work(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record, broker: redis.Redis
) -> None:
    """F9: every bell is gone; the nodes find in the ledger what waits."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.1")
    since = time.time()
    job = cluster.submit(recording)
    until(lambda: pieces_of(job).filter(state="done").count() >= 3, 30, "nothing was done")
    broker.flushall()
    emptied_at = time.time()
    until(lambda: not pieces_of(job).filter(state="queued").exists(), PICKED_UP_SECONDS, "pieces were not picked up")
    picked_up_after = time.time() - emptied_at
    cluster.until_done(job)
    seen = cluster.judge({job.pk: recording}, since)
    record("F9", **seen.as_json(), picked_up_after_s=round(picked_up_after, 2))
    seen.assert_unharmed()
    assert seen.units_executed_again == 0


def test_a_database_that_is_away_for_two_leases_costs_no_work(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F11: stopped in `immediate` mode; what the nodes finish meanwhile they keep and deliver."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="1.0")
    since = time.time()
    job = cluster.submit(recording)
    held = [cluster.until_in_hand(job, name) for name in (WORKSTATION, LAPTOP)]
    stopped_at = time.time()
    with outage(cluster.data_directory, POSTGRES, IMMEDIATE):
        until(lambda: all(cluster.has_finished(attempt) for attempt in held), 20, "the engines did not finish")
        until(lambda: len(spooled(cluster)) >= 1, 20, "no result was kept on disk")
        kept = len(spooled(cluster))
        passes(2 * LEASE_SECONDS - (time.time() - stopped_at))
    back_at = time.time()
    cluster.until_done(job, 60)
    seen = cluster.judge({job.pk: recording}, since)
    record(
        "F11",
        **seen.as_json(),
        outage_s=round(back_at - stopped_at, 2),
        results_kept_on_disk=kept,
        done_after_return_s=round(time.time() - back_at, 2),
    )
    seen.assert_unharmed()
    assert seen.units_executed_again == 0, tried_again(job)
    assert not spooled(cluster)


def spooled(cluster: Cluster) -> list[str]:
    """What the nodes keep on disk for the hub."""
    return [path.name for path in (cluster.data_directory / "spool").rglob("*.json")]
