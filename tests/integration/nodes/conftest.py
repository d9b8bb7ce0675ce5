"""Real workers: `celery -A clustercore worker` as a process of its own, with fake engines."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import redis
from django.db import connection

from clustercore.nodes.models import Node
from clustercore.project.celery import app
from tests.fakes.nodes.polling import until
from tests.fakes.nodes.tasks import OUTCOME
from tests.fork_server import fork_server

ENGINES = ["tests.fakes.nodes.engines:Echo", "tests.fakes.nodes.engines:Hang", "tests.fakes.nodes.engines:Steady"]
START_SECONDS = 60.0


class Worker:
    """A worker process and what it said."""

    def __init__(self, environment: dict[str, str], name: str, log: Path, arguments: tuple[str, ...] = ()) -> None:
        self.name = name
        self.log_file = log
        words = ["-m", "celery", "-A", "clustercore", "worker", "--loglevel", "INFO"]
        words += ["--include", "tests.fakes.nodes.tasks", "--hostname", f"{name}@%h", *arguments]
        self.process = fork_server().start_logged(words, environment, Path.cwd(), log)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def node(self) -> Node:
        return Node.objects.get(name=self.name)

    def until_taking_work(self, queue: str = "cap.echo") -> Worker:
        self.until_said(f"Started consuming from {queue}", START_SECONDS)
        return self

    def until_said(self, text: str, seconds: float = 20.0) -> None:
        """Waits for a text in the log; shows the log's end if it does not come or the worker ends before."""
        deadline = time.monotonic() + seconds
        while text not in self.log:
            alive = self.process.poll() is None and time.monotonic() < deadline
            assert alive, f"it did not say {text!r}:\n{self.log[-4000:]}"
            threading.Event().wait(0.02)

    def hosts(self) -> list[psutil.Process]:
        """Its engine runners that live."""
        found = psutil.Process(self.process.pid).children()
        return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 30.0) -> int:
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


StartWorker = Callable[..., Worker]


@pytest.fixture
def start_worker(
    service_environment: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> Iterator[StartWorker]:
    """Starts workers, and ends at the end whatever still runs."""
    workers: list[Worker] = []
    defaults = {
        "CLUSTERCORE_ENGINES": json.dumps(ENGINES),
        "CLUSTERCORE_SLOTS": "2",
        "CLUSTERCORE_HEARTBEAT_SECONDS": "0.3",
        "CLUSTERCORE_LEASE_SECONDS": "2",
        "CLUSTERCORE_GRACE_SECONDS": "1.5",
    }

    def start(name: str = "one", arguments: tuple[str, ...] = (), **settings: str) -> Worker:
        own = {f"CLUSTERCORE_{key.upper()}": value for key, value in settings.items()}
        environment = service_environment | defaults | {"CLUSTERCORE_NODE_NAME": name, "PGAPPNAME": name} | own
        worker = Worker(environment, name, tmp_path / f"{name}-{len(workers)}.log", arguments)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.close()
    _let_go_of_the_test_database()


class Sent:
    """A message on its way, and what came of it."""

    def __init__(self, client: redis.Redis, task: str, queue: str, *arguments: Any) -> None:
        self.key = str(uuid4())
        self._client = client
        app.send_task(task, args=[self.key, *arguments], queue=queue, ignore_result=True)

    def ready(self) -> bool:
        return bool(self._client.exists(OUTCOME + self.key))

    def get(self, seconds: float = 20.0) -> dict[str, Any]:
        until(self.ready, seconds, "no outcome")
        outcome: dict[str, Any] = json.loads(self._client.get(OUTCOME + self.key) or "null")
        return outcome


Send = Callable[..., Sent]


@pytest.fixture
def send(redis_client: redis.Redis) -> Send:
    """Sends a call of an engine to a queue."""

    def send_call(engine: str, request: dict[str, Any], queue: str = "cap.echo") -> Sent:
        return Sent(redis_client, "fakes.call", queue, engine, request)

    return send_call


def _let_go_of_the_test_database() -> None:
    """A killed worker's sessions end a moment later; the next test's flush must not meet them."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def alone() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(query + " AND state <> 'idle'")
            row = cursor.fetchone()
        return bool(row and row[0] == 0)

    until(alone, 10.0, "sessions of ended workers remain")
