"""The canvas of a transcription, and all that may become of its places and its body: the merge runs all the same."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from clustercore.jobs.models import Attempt, Job
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.canvases import (
    BELL,
    PLACE,
    WITHIN_SECONDS,
    in_hand,
    lose,
    merge_of,
    merged_as_body,
    outcomes,
    seconds_until_merge,
    waiting,
)
from tests.faults.cluster import GRACE_SECONDS, RESUMED_SECONDS, Cluster, attempts_at, live_attempts, tried_again
from tests.faults.conftest import Record
from tests.faults.outages import REDIS, outage
from tests.faults.recording import Recording
from tests.faults.waiting import until

pytestmark = pytest.mark.services

Recordings = Callable[[str], Recording]


@pytest.fixture
def broker(cluster: Cluster) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as client:
        client.flushall()
        yield client


def cut_and_gathered(cluster: Cluster, broker: redis.Redis, recording: Recording, seconds: str) -> Job:
    """A job whose pieces take so long, all cut, and its canvas sent."""
    cluster.pull(seconds=seconds)
    job = cluster.submit(recording)
    until(lambda: not merge_of(job).unsent and waiting(broker, PLACE), 30, "no canvas was sent")
    return job


def assert_unharmed(cluster: Cluster, job: Job, recording: Recording, since: float, again: int = 0) -> None:
    seen = cluster.judge({job.pk: recording}, since)
    seen.assert_unharmed()
    assert seen.units_executed_again <= again, tried_again(job)
    assert len(attempts_at(merge_of(job))) == 1


def test_the_merge_runs_as_the_body_of_its_canvas(
    cluster: Cluster, broker: redis.Redis, recordings: Recordings
) -> None:
    """One after another, as a waiting job's bells serve the merge before; a wake-up may be quicker by chance."""
    cluster.start(WORKSTATION)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    jobs = []
    for _ in range(3):
        since = time.time()
        jobs.append(cluster.submit(recording))
        cluster.until_done(jobs[-1])
        assert_unharmed(cluster, jobs[-1], recording, since)
    until(lambda: [merged_as_body(broker, job) for job in jobs].count(True) >= 2, 5, lambda: str(outcomes(broker)))


def test_a_canvas_whose_places_are_lost_costs_the_merge_a_tick(
    cluster: Cluster, broker: redis.Redis, recordings: Recordings, record: Record
) -> None:
    cluster.start(WORKSTATION)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    since = time.time()
    job = cut_and_gathered(cluster, broker, recording, seconds="1.0")
    assert lose(broker, PLACE) == 1
    cluster.pull(seconds="0.05")
    cluster.until_done(job)
    record("canvas-lost", merge_begins_after_s=round(seconds_until_merge(job), 2))
    assert_unharmed(cluster, job, recording, since)
    assert not merged_as_body(broker, job)
    assert seconds_until_merge(job) <= WITHIN_SECONDS


def test_a_canvas_whose_places_fail_costs_the_merge_a_tick(
    cluster: Cluster, broker: redis.Redis, recordings: Recordings, record: Record
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.1", **{"break-places": "yes"})
    since = time.time()
    job = cluster.submit(recording)
    cluster.until_done(job)
    until(lambda: "FAILURE" in {one["status"] for one in outcomes(broker)}, 10, "no place failed")
    record("canvas-failed", merge_begins_after_s=round(seconds_until_merge(job), 2))
    assert_unharmed(cluster, job, recording, since)
    assert not merged_as_body(broker, job)
    assert seconds_until_merge(job) <= WITHIN_SECONDS


@pytest.mark.fault
def test_a_canvas_of_which_a_place_is_killed_costs_the_merge_a_tick(
    cluster: Cluster, broker: redis.Redis, recordings: Recordings, record: Record
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    since = time.time()
    job = in_places(cluster, broker, recording)
    cluster.pull(seconds="0.1", seconds__workstation="60")
    held = until(lambda: held_for_a_second(job, WORKSTATION), 15, "the place has no piece in hand")
    cluster.workers[WORKSTATION].kill_tree()
    until(lambda: len(attempts_at(held.unit)) == 2, RESUMED_SECONDS, "nobody took the piece again")
    cluster.until_done(job)
    record("canvas-killed", merge_begins_after_s=round(seconds_until_merge(job), 2))
    assert_unharmed(cluster, job, recording, since, again=1)
    assert not merged_as_body(broker, job)
    assert seconds_until_merge(job) <= WITHIN_SECONDS


@pytest.mark.fault
def test_a_place_of_a_node_that_stops_goes_on_at_another_and_its_canvas_ends(
    cluster: Cluster, broker: redis.Redis, recordings: Recordings
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    since = time.time()
    job = in_places(cluster, broker, recording)
    before = len(bodies(broker))
    cluster.pull(seconds="0.3")
    workstation = cluster.workers[WORKSTATION]
    cluster.until_in_hand(job, WORKSTATION)
    workstation.signal(signal.SIGTERM)
    assert workstation.process.wait(GRACE_SECONDS + 15.0) == 0
    moved = re.search(rf"{PLACE}\[([0-9a-f-]+)\] retry: Retry in 1.0s", workstation.log)
    assert moved, "no place went elsewhere"
    cluster.until_done(job)
    until(lambda: len(bodies(broker)) > before, 10, "the canvas did not end")
    assert f"{PLACE}[{moved[1]}] succeeded" in cluster.workers[LAPTOP].log
    assert len(bodies(broker)) == before + 1
    assert_unharmed(cluster, job, recording, since)


@pytest.mark.fault
def test_a_canvas_that_could_not_be_sent_leaves_the_merge_to_who_does_the_last_piece(
    cluster: Cluster, broker: redis.Redis, recordings: Recordings, record: Record
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="4.0")
    since = time.time()
    job = cluster.submit(recording)
    until(lambda: job.units.filter(stage="transcribe").exists(), 30, "nothing was cut")
    with outage(cluster.data_directory, REDIS, signal.SIGKILL):
        until(lambda: job.units.filter(stage="cut", state="done").exists(), 60, "the cut did not end")
        until(lambda: said_away(cluster), 60, "nobody missed the broker")
    cluster.pull(seconds="0.1")
    cluster.until_done(job, 90)
    record("canvas-unsent", merge_begins_after_s=round(seconds_until_merge(job), 2))
    assert_unharmed(cluster, job, recording, since)
    assert seconds_until_merge(job) <= WITHIN_SECONDS


def held_for_a_second(job: Job, name: str) -> Attempt | None:
    """What a node has in hand, and not just for the moment."""
    return next((held for held in live_attempts(job, name) if time.time() - held.started.timestamp() > 1.0), None)


def said_away(cluster: Cluster) -> bool:
    return any("the broker is away" in worker.log for worker in cluster.workers.values())


def in_places(cluster: Cluster, broker: redis.Redis, recording: Recording) -> Job:
    """A job on two nodes with one slot each, both of which serve a place of its canvas, and no bell is left."""
    job = cut_and_gathered(cluster, broker, recording, seconds="2.0")
    until(lambda: len(waiting(broker, PLACE)) == 2, 10, "the canvas has not two places")
    lose(broker, BELL)
    cluster.pull(seconds="0.2")
    until(lambda: in_hand(broker).count(PLACE) == 2, 20, lambda: f"no two places in hand: {in_hand(broker)}")
    return job


def bodies(broker: redis.Redis) -> list[str]:
    """What the bodies of all canvases came to."""
    found = outcomes(broker)
    places = {one["task_id"] for one in found if one.get("group_id")}
    return [str(one["result"]) for one in found if one.get("parent_id") in places]
