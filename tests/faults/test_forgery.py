"""Whoever can write into Redis can ring bells and invent results; what is true stands in the ledger."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from clustercore.jobs.models import Job, JobEvent, Unit
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.cluster import Cluster, attempts_at, heard_words, pieces_of
from tests.faults.recording import Recording
from tests.faults.waiting import until
from transcription.models import Segment, Transcript

pytestmark = pytest.mark.services
FORGED = "forged words"


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def broker(cluster: Cluster) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as client:
        yield client


def bell(task: str, *arguments: Any, identity: str = "") -> bytes:
    """A message as Celery writes it."""
    identity = identity or str(uuid4())
    body = base64.b64encode(json.dumps([arguments, {}, {}]).encode()).decode()
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": task, "id": identity, "lang": "py", "argsrepr": "()", "kwargsrepr": "{}"},
        "properties": {
            "correlation_id": identity,
            "delivery_mode": 2,
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "cap.stt"},
            "priority": 0,
        },
    }
    return json.dumps(message).encode()


def rung(broker: redis.Redis) -> list[dict[str, Any]]:
    """The bells that wait in the queues and those that a worker has in hand."""
    waiting = [json.loads(item) for queue in ("cap.stt", "cap.media") for item in broker.lrange(queue, 0, -1)]
    return waiting + [json.loads(item)[0] for item in broker.hvals("unacked")]


def forged_result(identity: str, result: Any) -> bytes:
    """A result as Celery stores it."""
    return json.dumps(
        {"status": "SUCCESS", "result": result, "traceback": None, "children": [], "task_id": identity}
    ).encode()


def broker_key(group: str) -> str:
    """Where Celery keeps what it knows of a chord."""
    return f"celery-taskset-meta-{group}"


def what_the_ledger_says(job: Job) -> tuple[Any, ...]:
    """Everything about the job that a forgery would want to change; what is in hand reports progress meanwhile."""
    units = Unit.objects.filter(job=job).order_by("pk").values_list("pk", "stage", "state", "attempts_made", "strikes")
    texts = Segment.objects.filter(recording__job=job).count(), Transcript.objects.filter(recording__job=job).count()
    return (
        Job.objects.values_list("state", "stage", "error").get(pk=job.pk),
        list(units),
        texts,
        JobEvent.objects.filter(job=job).count(),
    )


def test_forged_results_and_bells_change_nothing(
    cluster: Cluster, broker: redis.Redis, recordings: Callable[[str], Recording], tmp_path: Path
) -> None:
    """A24: every result that Celery waits for says "done", and bells name what is not to be done."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("forged")
    cluster.sha_undisturbed(recording)
    done = Job.objects.order_by("-pk").first()
    assert done is not None
    cluster.pull(seconds="600")
    job = cluster.submit(recording)
    held, _ = (cluster.until_in_hand(job, name) for name in (WORKSTATION, LAPTOP))
    until(lambda: pieces_of(job).count() >= len(recording.words) // 4, 30, "it was not cut")
    before = until_still(lambda: what_the_ledger_says(job))
    bells = [message for message in rung(broker) if message["headers"]["task"].startswith("transcription.")]
    assert [message["headers"]["group"] for message in bells if message["headers"].get("group")]
    for message in bells:
        identity = message["headers"]["id"]
        broker.set(f"celery-task-meta-{identity}", forged_result(identity, {"text": FORGED}))
        broker.publish(f"celery-task-meta-{identity}", forged_result(identity, {"text": FORGED}))
        group = message["headers"].get("group")
        if group:
            # Where a chord gathers what has come back, with something that is no result among it.
            key = broker_key(group)
            assert broker.exists(f"{key}.s")
            broker.zadd(f"{key}.j", {pickle.dumps(Trap(tmp_path / "trap")): 0, forged_result(identity, FORGED): 1})
    finished = Unit.objects.filter(job=done, stage="transcribe").values_list("pk", flat=True)[0]
    merged = Unit.objects.filter(job=done, stage="merge").values_list("pk", flat=True)[0]
    forged = [
        bell("transcription.transcribe_all", done.pk, "cap.stt"),
        bell("transcription.transcribe_all", 2**62, "cap.stt"),
        bell("transcription.transcribe_all", 2**63, "cap.stt"),
        bell("transcription.transcribe_all", None, "cap.stt"),
        bell("transcription.transcribe_all", job.pk, "celery"),
        bell("transcription.transcribe_all", "1; DROP", 7),
        bell("transcription.merge", 2**63),
        bell("transcription.merge", ["1; DROP"]),
        bell("transcription.merge", merged),
        bell("transcription.merge", held.unit.pk),
        bell("transcription.transcribe", finished),
        bell("transcription.transcribe", held.unit.pk),
        bell("transcription.transcribe", -1),
        bell("transcription.transcribe", 2**63),
        bell("transcription.transcribe", "1; DROP TABLE jobs_job"),
        bell("transcription.transcribe", {"unit": 1}),
    ]
    # Both slots are taken, so that media bells alone are heard while the piece is in hand.
    for forgery in forged:
        broker.lpush("cap.media", forgery)
    cluster.start("pi", CLUSTERCORE_TIERS=json.dumps({"stt": ["nothing:*"]}))
    until(lambda: broker.llen("cap.media") == 0, 30, "nobody heard the forged bells")
    assert what_the_ledger_says(job) == before
    assert what_the_ledger_says(done)[0][0] == "done"
    cluster.pull(seconds="0.05")
    cluster.until_done(job, 90)
    assert heard_words(job) == recording.words
    assert FORGED not in Transcript.objects.get(recording__job=job).text
    assert all(len(attempts_at(unit)) == 1 for unit in pieces_of(job))
    assert not (tmp_path / "trap").exists()


def until_still(look: Callable[[], Any]) -> Any:
    """What `look` tells, once it tells the same several times in a row."""
    seen: list[Any] = []

    def settled() -> bool:
        seen.append(look())
        return len(seen) > 10 and all(one == seen[-1] for one in seen[-10:])

    until(settled, 30, "it does not come to rest")
    return seen[-1]
