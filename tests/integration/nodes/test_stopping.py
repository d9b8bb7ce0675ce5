"""How a node stops, and how fast."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
import redis

from tests.fakes.nodes.polling import until
from tests.integration.nodes.conftest import Send, Sent, StartWorker

pytestmark = pytest.mark.services


def test_an_idle_node_stops_at_once_and_is_offline(start_worker: StartWorker) -> None:
    worker = start_worker(grace_seconds="20").until_taking_work()
    asked = time.monotonic()
    worker.signal()
    assert worker.wait() == 0
    assert time.monotonic() - asked < 10.0
    assert not worker.node().online


def test_what_can_end_within_the_grace_is_finished(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker(grace_seconds="10").until_taking_work()
    call = send("steady", {"steps": 10, "seconds": 2.0})
    until(worker.hosts)
    worker.signal()
    assert call.get(20)["result"]["steps"] == 10
    assert worker.wait() == 0


def test_what_cannot_end_is_handed_back_when_the_grace_is_over(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker(grace_seconds="1.5").until_taking_work()
    call = send("hang", {})
    until(worker.hosts)
    asked = time.monotonic()
    worker.signal()
    assert worker.wait() == 0
    assert 1.4 < time.monotonic() - asked < 15.0
    assert call.get(20) == {"died": "the node stops", "deliberate": True}
    assert not worker.node().online


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_grace(start_worker: StartWorker, send: Send, second: int) -> None:
    worker = start_worker(grace_seconds="30").until_taking_work()
    send("hang", {})
    until(worker.hosts)
    worker.signal()
    until(lambda: "Stopping (SIGTERM)" in worker.log)
    asked = time.monotonic()
    worker.signal(second)
    assert worker.wait() == 0
    assert time.monotonic() - asked < 10.0


def test_a_stopping_node_takes_nothing_new(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker(grace_seconds="3").until_taking_work()
    send("hang", {})
    until(worker.hosts)
    worker.signal()
    until(lambda: "Canceling queue cap.echo" in worker.log)
    late = send("echo", {})
    assert worker.wait() == 0
    assert not late.ready()


def test_celerys_remote_control_reaches_a_node_and_can_stop_it(
    start_worker: StartWorker, send: Send, service_environment: dict[str, str]
) -> None:
    worker = start_worker(grace_seconds="0.5").until_taking_work()
    call = send("hang", {})
    until(worker.hosts)

    def celery(*arguments: str) -> str:
        command = [sys.executable, "-m", "celery", "-A", "clustercore", *arguments]
        done = subprocess.run(command, env=service_environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    assert "pong" in celery("inspect", "ping", "--timeout", "3")
    assert "hang" in celery("inspect", "active", "--timeout", "3")
    celery("control", "shutdown")
    assert worker.wait() == 0
    assert call.get() == {"died": "the node stops", "deliberate": True}
    assert not worker.node().online


def test_celerys_remote_control_stops_a_node_of_which_a_slot_does_not_come_back(
    start_worker: StartWorker, redis_client: redis.Redis, service_environment: dict[str, str]
) -> None:
    worker = start_worker(grace_seconds="0.5").until_taking_work()
    Sent(redis_client, "fakes.stay", "cap.echo").get()
    command = [sys.executable, "-m", "celery", "-A", "clustercore", "control", "shutdown"]
    subprocess.run(command, env=service_environment, capture_output=True, timeout=60, check=False)
    assert worker.wait() == 0
    assert not worker.node().online
