"""A node whose broker or database goes away for a while."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
import redis
from django.db import connection, transaction

from clustercore.nodes import services
from clustercore.nodes.models import Node
from tests.fakes.nodes.polling import until
from tests.integration.nodes.conftest import Send, StartWorker, Worker

pytestmark = [pytest.mark.services, pytest.mark.fault]
LEASE_SECONDS, BEATS_IN_TWO_LEASES = 2.0, 13
"""As the workers of these tests have them."""


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
    until(lambda: "Connected to redis" in worker.log.partition("Connection to broker lost")[2], 30.0, "no reconnect")
    waiting = send("echo", {})
    directed = worker.log.count("Started consuming from")
    services.undrain("one")
    assert "result" in waiting.get(30)
    assert worker.log.count("Started consuming from") == directed + 2


@contextmanager
def full_broker(client: redis.Redis, message_in: str) -> Iterator[None]:
    """Redis answers everybody and lets nobody write, from the moment at which a node pops the message in this queue."""
    with client.pipeline() as transaction:
        transaction.lmove(message_in, "cap.echo")
        transaction.config_set("maxmemory", 1)
        transaction.execute()
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


def test_a_broker_that_has_no_room_to_write_ends_no_node(
    start_worker: StartWorker, send: Send, redis_client: redis.Redis
) -> None:
    worker = start_worker().until_taking_work()
    send("echo", {}, queue="cap.nobody")
    with full_broker(redis_client, "cap.nobody"):
        worker.until_said("Connection to broker lost")
    assert "result" in send("echo", {}).get(30)
    assert worker.process.poll() is None


@contextmanager
def hanging_broker(client: redis.Redis) -> Iterator[None]:
    """Redis stands still: it answers nobody and refuses nobody."""
    server = psutil.Process(int(client.info("server")["process_id"]))
    server.suspend()
    try:
        yield
    finally:
        server.resume()


def test_a_node_that_waits_for_its_broker_says_so_and_goes_on(
    start_worker: StartWorker, redis_client: redis.Redis
) -> None:
    with hanging_broker(redis_client):
        worker = start_worker()
        until(lambda: Node.objects.filter(name="one", hold_reason__contains="Redis").exists(), 60.0, "it says nothing")
    worker.until_taking_work()
    until(lambda: worker.node().hold_reason == "")


@contextmanager
def hanging_database() -> Iterator[None]:
    """The whole PostgreSQL stands still: it answers nobody and refuses nobody."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        row = cursor.fetchone()
    server = psutil.Process(row[0] if row else -1).parent()
    assert server is not None
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def until_it_beats(worker: Worker) -> None:
    """Waits for the next beat, which must come before a lease would run out."""
    seen = worker.node().last_seen
    until(lambda: worker.node().last_seen > seen, LEASE_SECONDS / 2, "it does not beat")


def test_a_node_whose_broker_hangs_goes_on_beating(start_worker: StartWorker, redis_client: redis.Redis) -> None:
    worker = start_worker().until_taking_work()
    with hanging_broker(redis_client):
        for _ in range(BEATS_IN_TWO_LEASES):
            until_it_beats(worker)


def test_a_row_that_somebody_has_locked_is_no_absence_of_the_hub(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker().until_taking_work()
    with transaction.atomic():
        Node.objects.select_for_update(no_key=True).get(name="one")
        worker.until_said("The hub's database was busy")
        assert "result" in send("echo", {}).get(20)
    until_it_beats(worker)
    assert "database is away" not in worker.log
    assert worker.node().hold_reason == ""


def test_a_hub_that_hangs_does_not_keep_a_stopping_node(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker(grace_seconds="1").until_taking_work()
    send("hang", {})
    until(worker.hosts)
    with hanging_database():
        asked = time.monotonic()
        worker.signal()
        assert worker.wait() == 0
        assert time.monotonic() - asked < 20.0


def test_a_node_outlives_the_loss_of_all_its_database_connections(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker().until_taking_work()
    running = send("steady", {"steps": 20, "seconds": 3.0})
    until(worker.hosts)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            [worker.name],
        )
        assert cursor.rowcount >= 1
    assert running.get()["result"]["steps"] == 20
    assert "result" in send("echo", {}).get(30)
    seen = worker.node().last_seen
    until(lambda: worker.node().last_seen > seen)
    until(lambda: worker.node().hold_reason == "")


def end_sessions_of(worker: Worker) -> None:
    """It begins new ones, with the settings of that time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [worker.name]
        )


@contextmanager
def read_only_sessions(worker: Worker) -> Iterator[None]:
    """The database takes no writes from the worker, as a standby or one after a switch-over."""
    role = f'ALTER ROLE CURRENT_USER IN DATABASE "{connection.settings_dict["NAME"]}"'
    with connection.cursor() as cursor:
        cursor.execute(f"{role} SET default_transaction_read_only = on")
        end_sessions_of(worker)
        try:
            yield
        finally:
            cursor.execute(f"{role} RESET default_transaction_read_only")
            end_sessions_of(worker)


def test_a_database_that_takes_no_writes_for_a_while_ends_no_node(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker().until_taking_work()
    running = send("steady", {"steps": 20, "seconds": 3.0})
    until(worker.hosts)
    with read_only_sessions(worker):
        worker.until_said("The hub's database is away")
        assert "read-only transaction" in worker.log
        assert running.get()["result"]["steps"] == 20
    assert "result" in send("echo", {}).get(30)
    until_it_beats(worker)
    until(lambda: worker.node().hold_reason == "")
