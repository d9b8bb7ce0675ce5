"""The node agent inside a real Celery worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from clustercore.nodes import services
from clustercore.nodes.models import NodeModel
from clustercore.project.celery import app
from tests.fakes.nodes.polling import until
from tests.fork_server import fork_server
from tests.integration.nodes.conftest import Send, StartWorker, Worker

pytestmark = pytest.mark.services


def test_a_worker_registers_its_machine_and_what_it_can_do(start_worker: StartWorker) -> None:
    worker = start_worker().until_taking_work()
    node = worker.node()
    assert (node.online, node.slots, node.capabilities) == (True, 2, ["any", "echo"])
    assert node.process_id == worker.process.pid
    assert node.memory_mb > 100
    assert set(NodeModel.objects.filter(node=node).values_list("engine", flat=True)) == {"echo", "hang", "steady"}


def test_it_takes_units_from_its_capabilities_and_from_its_own_queue(start_worker: StartWorker, send: Send) -> None:
    start_worker().until_taking_work("node.one")
    for queue in ("cap.echo", "node.one"):
        answer = send("echo", {"from": queue}, queue=queue).get(20)
        assert answer["result"]["echo"] == {"from": queue}


def test_it_never_takes_from_celerys_default_queue(
    start_worker: StartWorker, send: Send, redis_client: redis.Redis
) -> None:
    send("echo", {}, queue="celery")
    start_worker().until_taking_work()
    send("echo", {}).get(20)
    assert redis_client.llen("celery") == 1


def test_it_beats_until_it_is_killed_and_is_then_marked_offline(start_worker: StartWorker) -> None:
    worker = start_worker().until_taking_work()
    first = worker.node().last_seen
    until(lambda: worker.node().last_seen > first)
    worker.close()

    def marked() -> bool:
        services.mark_silent_nodes_offline()
        return not worker.node().online

    until(marked)


def test_a_drained_node_takes_nothing_until_it_is_undrained(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker().until_taking_work()
    assert services.drain("one")
    until(lambda: worker.node().hold_reason == "drained by an operator")
    until(lambda: "Canceling queue cap.echo" in worker.log)
    waiting = send("echo", {})
    beats_later(worker, 2)
    assert not waiting.ready()
    assert services.undrain("one")
    assert "result" in waiting.get(20)
    until(lambda: worker.node().hold_reason == "")


def beats_later(worker: Worker, beats: int) -> None:
    for _ in range(beats):
        seen = worker.node().last_seen
        until(lambda seen=seen: worker.node().last_seen > seen)  # type: ignore[misc]


def test_a_second_worker_of_the_same_name_is_refused_and_told_what_to_do(start_worker: StartWorker) -> None:
    first = start_worker().until_taking_work()
    second = start_worker()
    assert second.wait() == 1
    assert "A node named 'one' is running already" in second.log
    assert "--name OTHER" in second.log
    assert first.node().process_id == first.process.pid


def test_a_killed_worker_can_be_started_again_at_once(start_worker: StartWorker) -> None:
    first = start_worker().until_taking_work()
    first.close()
    second = start_worker().until_taking_work()
    assert second.node().process_id == second.process.pid


def test_a_worker_without_flags_has_as_many_threads_as_slots(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker(slots="3").until_taking_work()
    calls = [send("steady", {"steps": 4, "seconds": 1.0}) for _ in range(3)]
    until(lambda: len(worker.hosts()) == 3)
    assert len({call.get(20)["result"]["process"] for call in calls}) == 3


def test_a_killed_worker_leaves_no_engine_host_behind(start_worker: StartWorker, send: Send) -> None:
    worker = start_worker().until_taking_work()
    send("hang", {})
    until(lambda: len(worker.hosts()) == 1)
    host = worker.hosts()[0]
    worker.close()
    until(lambda: not host.is_running() or host.status() == psutil.STATUS_ZOMBIE, 3.0, "an orphan host remains")


def told(message: Callable[..., list[dict[str, Any]] | None]) -> list[str]:
    """Sends all workers a message of Celery's remote control; what each says to it."""
    answers = message(reply=True, timeout=3) or []
    return [str(said.get("ok")) for answer in answers for said in answer.values()]


def test_a_worker_tells_of_its_tasks_only_when_it_is_asked_to(start_worker: StartWorker) -> None:
    start_worker().until_taking_work()
    assert told(app.control.disable_events) == ["task events already disabled"]
    assert told(app.control.enable_events) == ["task events enabled"]
    assert told(app.control.disable_events) == ["task events disabled"]


def test_workers_tell_of_tasks_while_flower_runs(
    start_worker: StartWorker, service_environment: dict[str, str], tmp_path: Path
) -> None:
    start_worker().until_taking_work()
    socket = tmp_path / "flower.sock"
    words = ["-m", "celery", "-A", "clustercore", "flower", f"--unix_socket={socket}"]
    flower = fork_server().start_logged(words, service_environment, Path.cwd(), tmp_path / "flower.log")
    try:
        until(socket.exists, 60.0)
        assert told(app.control.enable_events) == ["task events already enabled"], "before anybody can look"
        start_worker("two").until_taking_work()
        until(lambda: told(app.control.disable_events).count("task events disabled") == 2, 30.0)
        until(lambda: told(app.control.enable_events).count("task events already enabled") == 2, 30.0)
    finally:
        flower.terminate()
        flower.wait(30)
    assert told(app.control.disable_events) == ["task events already disabled"] * 2
