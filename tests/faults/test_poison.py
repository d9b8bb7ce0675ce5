"""Pieces, messages and engines that do harm."""

from __future__ import annotations

import base64
import json
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from clustercore.jobs.models import Unit
from clustercore.jobs.services.control import cancel_job, requeue_unit
from clustercore.jobs.workflows import ring_units
from tests.cast import LAPTOP, PI, WORKSTATION
from tests.faults.cluster import SILENT_SECONDS, Cluster, attempts_at, pieces_of
from tests.faults.conftest import Record
from tests.faults.recording import Recording
from tests.faults.waiting import until
from tests.faults.workers import is_gone
from transcription.selectors import transcript_of

pytestmark = pytest.mark.services

DEAD_SECONDS = 60.0
CANCEL_SECONDS = 10.0


@pytest.fixture
def broker(cluster: Cluster) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as client:
        yield client


def test_a_piece_that_kills_its_host_is_given_up_after_three_and_its_neighbours_finish(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F15."""
    cluster.start(WORKSTATION, LAPTOP)
    poisoned, sound = recordings("poisoned"), recordings("short")
    cluster.sha_undisturbed(sound)
    cluster.pull(poison=poisoned.words[10])
    since = time.time()
    job, neighbour = cluster.submit(poisoned), cluster.submit(sound)
    assert cluster.until_ended(job, DEAD_SECONDS) == "done"
    dead_after = time.time() - since
    assert job.gaps == 1
    cluster.until_done(neighbour)
    dead = pieces_of(job).get(state="dead")
    assert [attempt.outcome for attempt in attempts_at(dead)] == ["crashed"] * 3
    assert {piece.state for piece in pieces_of(job).exclude(pk=dead.pk)} == {"done"}
    assert f"clustercore retry {job.pk}" in dead.error
    assert "killed by SIGKILL" in dead.error
    lacking = transcript_of(job.pk)
    [gap] = lacking.gaps
    assert gap.reason.startswith("could not be heard: crashed its worker 3 times")
    assert "killed by SIGKILL" in gap.reason
    beside = cluster.judge({neighbour.pk: sound}, since)
    beside.assert_unharmed()
    cluster.pull(poison="")
    requeue_unit(dead.pk)
    cluster.until_done(job)
    mended = transcript_of(job.pk)
    assert mended.gaps == ()
    assert [one for one in mended.segments if not gap.start <= one.start < gap.end] == list(lacking.segments)
    assert poisoned.words[10] not in lacking.text
    seen = cluster.judge({job.pk: poisoned, neighbour.pk: sound}, since)
    record("F15", **seen.as_json(), dead_after_s=round(dead_after, 2), attempts=3)
    seen.assert_unharmed()


def test_an_engine_that_spins_without_progress_is_killed(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F19: it reports nothing for longer than it may."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(hang=recording.words[10])
    since = time.time()
    job = cluster.submit(recording)
    hung = until(
        lambda: Unit.objects.filter(job=job, stage="transcribe", strikes=1).first(),
        30 + SILENT_SECONDS,
        "nobody struck the piece that hangs",
    )
    cluster.pull(hang="")
    first = attempts_at(hung)[0]
    assert first.ended is not None
    killed_after = (first.ended - first.started).total_seconds()
    assert (first.outcome, "no progress" in first.reason) == ("crashed", True)
    cluster.until_done(job)
    seen = cluster.judge({job.pk: recording}, since)
    record("F19", **seen.as_json(), killed_after_s=round(killed_after, 2), limit_s=SILENT_SECONDS)
    seen.assert_unharmed()
    assert killed_after <= SILENT_SECONDS + 20.0


def test_a_cancelled_job_lets_go_of_its_engines(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F19, by the user."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.pull(seconds="60")
    job = cluster.submit(recording)
    hosts = [cluster.executing(cluster.until_in_hand(job, name)) for name in (WORKSTATION, LAPTOP)]
    asked_at = time.time()
    cancel_job(job.pk)
    until(lambda: all(is_gone(host) for host in hosts), CANCEL_SECONDS, "engines went on after the cancel")
    effective_after = time.time() - asked_at
    cluster.pull(seconds="")
    following = cluster.submit(recording)
    cluster.until_done(following)
    job.refresh_from_db()
    states = set(pieces_of(job).values_list("state", flat=True))
    record("F19-cancel", effective_after_s=round(effective_after, 2), states=sorted(states))
    assert (job.state, states) == ("cancelled", {"cancelled"})


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def envelope(task: str, content_type: str, body: bytes) -> bytes:
    """A message as Celery writes them."""
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": {"task": task, "id": str(uuid4()), "lang": "py", "argsrepr": "()", "kwargsrepr": "{}"},
        "properties": {
            "correlation_id": str(uuid4()),
            "delivery_mode": 2,
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "cap.stt"},
            "priority": 0,
        },
    }
    return json.dumps(message).encode()


def test_malformed_messages_are_counted_and_the_job_finishes(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record, broker: redis.Redis, tmp_path: Path
) -> None:
    """F16: put into the queue by hand, between the bells of a job."""
    workers = cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    canary = tmp_path / "canary"
    arguments = json.dumps([[1], {}, {}]).encode()
    harmful = [
        b'{"task": ',
        envelope("no.such.task", "application/json", arguments),
        envelope("transcription.transcribe", "application/x-python-serialize", pickle.dumps(Trap(canary))),
        envelope("transcription.transcribe", "application/json", b"x" * 10_000_000),
    ]
    before = int(broker.get("messages.rejected.total") or 0)
    since = time.time()
    for message in harmful:
        broker.lpush("cap.stt", message)
    job = cluster.submit(recording)
    cluster.until_done(job)
    until(lambda: int(broker.get("messages.rejected.total") or 0) == before + 4, 20, "refused messages are not counted")
    assert all(worker.running for worker in workers)
    assert not canary.exists()
    seen = cluster.judge({job.pk: recording}, since)
    record("F16", **seen.as_json(), refused=4, workers_alive=len(workers), canary=canary.exists())
    seen.assert_unharmed()


def test_a_bell_that_rings_ten_times_gives_one_attempt(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record, broker: redis.Redis
) -> None:
    """F17: three workers hear the same bells."""
    cluster.start(WORKSTATION, LAPTOP, PI)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.5")
    since = time.time()
    job = cluster.submit(recording)
    unit = until(lambda: pieces_of(job).first(), 30, "nothing was cut")
    for _ in range(10):
        ring_units("transcription", "transcribe", [unit.pk])
    cluster.until_done(job)
    until(lambda: broker.llen("cap.stt") == 0, 20, "bells remain")
    seen = cluster.judge({job.pk: recording}, since)
    attempts = [len(attempts_at(piece)) for piece in pieces_of(job)]
    cluster.stop(PI)
    record("F17", **seen.as_json(), bells=10, attempts_at_the_unit=len(attempts_at(unit)))
    seen.assert_unharmed()
    assert set(attempts) == {1}
    assert seen.units_executed_again == 0
