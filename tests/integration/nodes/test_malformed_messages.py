"""What somebody puts into a queue by hand must not fell the worker that pops it."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from tests.fakes.nodes.polling import until
from tests.fakes.nodes.tasks import OUTCOME
from tests.integration.nodes.conftest import Send, StartWorker

pytestmark = pytest.mark.services


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def envelope(**changes: Any) -> dict[str, Any]:
    """A well-formed message, but for the changes."""
    identity = str(uuid4())
    body = base64.b64encode(json.dumps([["by-hand", "echo", {}], {}, {}]).encode()).decode()
    message: dict[str, Any] = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "fakes.call", "id": identity, "lang": "py", "argsrepr": "()", "kwargsrepr": "{}"},
        "properties": {
            "correlation_id": identity,
            "delivery_mode": 2,
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "cap.echo"},
            "priority": 0,
        },
    }
    return message | changes


def with_headers(**headers: Any) -> dict[str, Any]:
    message = envelope()
    return message | {"headers": message["headers"] | headers}


def malformed(trap: Path) -> list[bytes]:
    pickled = base64.b64encode(pickle.dumps(Trap(trap))).decode()
    yaml = base64.b64encode(f"!!python/object/apply:os.mkdir [{trap}]".encode()).decode()
    messages = [
        envelope(**{"content-type": "application/x-python-serialize", "body": pickled}),
        envelope(**{"content-type": "application/x-yaml", "body": yaml}),
        envelope(**{"content-type": "application/data", "body": pickled}),
        envelope(**{"content-type": "application/json; serializer=pickle", "body": pickled}),
        envelope(body=base64.b64encode(b"x" * 10_000_000).decode()),
        envelope(body="%%%"),
        envelope(body=None),
        envelope(headers={}),
        envelope(headers=None),
        envelope(properties={}),
        envelope(properties={"delivery_tag": 7}),
        with_headers(task="no.such.task"),
        with_headers(task=["a", "list"]),
        with_headers(eta="when it suits"),
        with_headers(expires={"never": True}),
        with_headers(timelimit="soon"),
        with_headers(retries="many", origin=7, root_id=[], group={}),
        with_headers(compression="application/x-gzip"),
        {"__type__": "datetime", "__value__": "no date"},
        ["a", "list"],
    ]
    raw = [b"", b"\xff\xfe\x00", b"{", b"null", b'"text"', b"[" * 100_000]
    return [json.dumps(message).encode() for message in messages] + raw


def test_malformed_messages_are_put_aside_counted_and_survived(
    start_worker: StartWorker, send: Send, redis_client: redis.Redis, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    worker = start_worker().until_taking_work()
    items = malformed(trap)
    for item in items:
        redis_client.lpush("cap.echo", item)
    until(lambda: redis_client.llen("cap.echo") == 0)
    assert send("echo", {"still": "here"}).get(20)["result"]["echo"] == {"still": "here"}
    assert worker.process.poll() is None
    assert not trap.exists()
    assert "Connection to broker lost" not in worker.log
    kept = [json.loads(note) for note in redis_client.lrange("messages.rejected", 0, -1)]
    assert int(redis_client.get("messages.rejected.total") or 0) == len(kept)
    assert len(kept) >= len(items) - 1
    assert all(len(note["head"]) <= 500 and note["reason"] for note in kept)


def test_a_well_formed_message_by_hand_is_taken(
    start_worker: StartWorker, redis_client: redis.Redis, send: Send
) -> None:
    start_worker().until_taking_work()
    message = envelope()
    redis_client.lpush("cap.echo", json.dumps(message))
    until(lambda: redis_client.exists(OUTCOME + "by-hand"))
    assert redis_client.get("messages.rejected.total") is None
