"""A node whose broker or database goes away for a while."""

from __future__ import annotations

import os
import signal

import pytest
import redis

from clustercore.nodes import services
from tests.fakes.nodes.polling import until
from tests.integration.nodes.conftest import Send, StartWorker

pytestmark = [pytest.mark.services, pytest.mark.fault]


def kill_redis(client: redis.Redis) -> None:
    """Its supervisor starts it again."""
    before = int(client.info("server")["process_id"])
    os.kill(before, signal.SIGKILL)

    def another() -> bool:
        try:
            return int(client.info("server")["process_id"]) != before
        except redis.ConnectionError:
            return False

    until(another, 30.0, "Redis did not come back")


def test_after_a_broker_restart_a_node_consumes_as_before(
    start_worker: StartWorker, send: Send, redis_client: redis.Redis
) -> None:
    worker = start_worker(slots="2").until_taking_work()
    send("echo", {}).get(20)
    kill_redis(redis_client)
    calls = [send("steady", {"steps": 5, "seconds": 1.0}) for _ in range(5)]
    processes = {call.get(60)["result"]["process"] for call in calls}
    assert len(processes) <= 2
    assert worker.process.poll() is None


def test_after_a_broker_restart_a_drained_node_still_takes_nothing(
    start_worker: StartWorker, send: Send, redis_client: redis.Redis
) -> None:
    worker = start_worker().until_taking_work()
    services.drain("one")
    until(lambda: "Canceling queue cap.echo" in worker.log)
    kill_redis(redis_client)
    until(lambda: "Connected to" in worker.log.partition("Connection to broker lost")[2], 30.0, "no reconnect")
    waiting = send("echo", {})
    directed = worker.log.count("Started consuming from")
    services.undrain("one")
    assert "result" in waiting.get(30)
    assert worker.log.count("Started consuming from") == directed + 2
