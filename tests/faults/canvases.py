"""What Celery keeps of the canvases of a job: the messages that wait, and what came of those that were served."""

from __future__ import annotations

import json
from typing import Any

import redis

from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.nodes.adapters.agent import TICKS_PER_LEASE
from tests.faults.cluster import LEASE_SECONDS, pieces_of

PLACE, BELL = "transcription.transcribe_all", "transcription.transcribe"
TICK_SECONDS = LEASE_SECONDS / TICKS_PER_LEASE
WITHIN_SECONDS = 3 * TICK_SECONDS
"""An idle node looks once a tick; the rest is for a machine that has other things to do."""


def waiting(broker: redis.Redis, task: str) -> list[str]:
    """The messages of this task that no worker has in hand."""
    items = [item.decode() for item in broker.lrange("cap.stt", 0, -1) if isinstance(item, bytes)]
    return [item for item in items if json.loads(item)["headers"]["task"] == task]


def lose(broker: redis.Redis, task: str) -> int:
    """Deletes them; returns how many there were."""
    return sum(int(broker.lrem("cap.stt", 0, item)) for item in waiting(broker, task))


def in_hand(broker: redis.Redis) -> list[str]:
    """The tasks that workers have in hand."""
    return [json.loads(item)[0]["headers"]["task"] for item in broker.hvals("unacked")]


def outcomes(broker: redis.Redis) -> list[dict[str, Any]]:
    """What came of each message of a canvas; of a bell that is sent by itself nothing is kept."""
    return [json.loads(broker.get(key) or "{}") for key in broker.scan_iter("celery-task-meta-*")]


def merged_as_body(broker: redis.Redis, job: Job) -> bool:
    """Whether the merge was done by the message that the last place of its canvas sent."""
    found = outcomes(broker)
    places = {one["task_id"] for one in found if one.get("group_id")}
    done = f"of job {job.pk} (merge 0): done"
    return any(done in str(one.get("result")) and one.get("parent_id") in places for one in found)


def merge_of(job: Job) -> Unit:
    return Unit.objects.get(job=job, stage="merge")


def seconds_until_merge(job: Job) -> float:
    """From the result of the last piece until somebody had the merge in hand."""
    last = pieces_of(job).order_by("-finished").values_list("finished", flat=True)[0]
    begun = Attempt.objects.filter(unit__job=job, unit__stage="merge").earliest("started").started
    assert last is not None
    return float((begun - last).total_seconds())
