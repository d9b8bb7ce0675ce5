"""Control runs: the same faults on plain Celery, so that the difference is measured and not claimed.

They prove nothing about this project and fail only when a run could not be made; the figures are what they are for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from celery import Celery

from tests.faults.cluster import Cluster
from tests.faults.conftest import Record
from tests.faults.control_celery import VARIANTS
from tests.faults.outages import REDIS, outage
from tests.faults.waiting import until
from tests.faults.workers import ROOT

pytestmark = [pytest.mark.services, pytest.mark.fault, pytest.mark.timeout(300)]

PIECES = 10
SECONDS = 1.0
PATIENCE_SECONDS = 45.0
"""How long a control run may take to recover; Celery's own default would be an hour."""
OUTAGE_SECONDS = 5.0


@dataclass
class Control:
    """Two workers of plain Celery and the pieces sent to them."""

    cluster: Cluster
    variant: str
    directory: Path
    application: Celery
    workers: list[subprocess.Popen[bytes]]

    @property
    def trace(self) -> Path:
        return self.directory / "trace"

    def lines(self, what: str) -> list[dict[str, Any]]:
        """What the tasks wrote."""
        if not self.trace.exists():
            return []
        lines = [json.loads(line) for line in self.trace.read_text().splitlines()]
        return [line for line in lines if line["what"] == what]

    def start(self, name: str) -> None:
        """One worker with one process for tasks, as Celery does by itself."""
        command = [sys.executable, "-m", "celery", "-A", "tests.faults.control_celery", "worker", "-c", "1"]
        command += ["--loglevel", "INFO", "--hostname", f"{name}@%h"]
        with (self.directory / f"{name}.log").open("ab") as log:
            self.workers.append(
                subprocess.Popen(command, env=self.environment(), cwd=ROOT, stdout=log, stderr=log, process_group=0)
            )
        until(lambda: "ready." in (self.directory / f"{name}.log").read_text(), 60, f"{name} did not start")

    def environment(self) -> dict[str, str]:
        """Plain Celery: nothing of the project's settings."""
        own = {"CONTROL_VARIANT": self.variant, "CONTROL_TRACE": str(self.trace), "CONTROL_REDIS_URL": self.url}
        return {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"} | own

    @property
    def url(self) -> str:
        return in_celerys_words(self.cluster.environment["REDIS_URL"])

    def send(self) -> None:
        """All pieces at once."""
        for number in range(PIECES):
            self.application.send_task("control.piece", args=[number, SECONDS], queue="control")

    def figures(self, fault_at: float, victim: int | None) -> dict[str, Any]:
        """After the patience or when all is finished: what is lost, what ran again and how late."""
        begun = Counter(line["number"] for line in self.lines("begun"))
        finished = Counter(line["number"] for line in self.lines("finished"))
        again = [line["at"] for line in self.lines("begun") if line["number"] == victim and line["at"] > fault_at]
        return {
            "configuration": {"celery": self.variant, **VARIANTS[self.variant]},
            "attempted": PIECES,
            "finished": len(finished),
            "unfinished_after_patience": PIECES - len(finished),
            "executions": sum(begun.values()),
            "duplicate_results": sum(finished.values()) - len(finished),
            "recovery_s": round(again[0] - fault_at, 2) if again else None,
            "patience_s": PATIENCE_SECONDS,
        }

    def settle(self) -> None:
        """Waits until all pieces are finished, or the patience is over."""
        end = time.monotonic() + PATIENCE_SECONDS
        until(lambda: self._all_finished() or time.monotonic() > end, PATIENCE_SECONDS + 5, "the clock stands")

    def _all_finished(self) -> bool:
        return len({line["number"] for line in self.lines("finished")}) == PIECES

    def close(self) -> None:
        for worker in self.workers:
            kill_tree(worker.pid)
            worker.wait(10)


def kill_tree(process_id: int) -> None:
    """Everything at once."""
    try:
        parent = psutil.Process(process_id)
        processes = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def in_celerys_words(redis_url: str) -> str:
    """The address of Redis on a socket as plain Celery reads it."""
    return redis_url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")


@pytest.fixture(params=sorted(VARIANTS))
def control(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Iterator[Control]:
    """Two workers of a variant on an emptied Redis, and no node of ours."""
    cluster.stop(*cluster.workers)
    with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as client:
        client.flushall()
    url = in_celerys_words(cluster.environment["REDIS_URL"])
    application = Celery("control", broker=url, backend=url, set_as_current=False)
    run = Control(cluster, request.param, tmp_path, application, [])
    try:
        run.start("first")
        run.start("second")
        yield run
    finally:
        run.close()
        application.close()
        with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as client:
            client.flushall()


def in_hand(control: Control) -> dict[str, Any]:
    """The newest piece that was begun by the first worker and not finished."""

    def found() -> dict[str, Any] | None:
        finished = {line["number"] for line in control.lines("finished")}
        first = control.workers[0].pid
        mine = [line for line in control.lines("begun") if line["parent"] == first and line["number"] not in finished]
        return mine[-1] if len(finished) >= 2 and mine else None

    line = until(found, 30, "the first worker has nothing in hand")
    assert line is not None
    return line


def test_control_a_killed_pool_process(control: Control, record: Record) -> None:
    """F1."""
    control.send()
    line = in_hand(control)
    killed_at = time.time()
    os.kill(line["process"], signal.SIGKILL)
    control.settle()
    record(f"control-F1-{control.variant}", **control.figures(killed_at, line["number"]))


def test_control_a_killed_worker(control: Control, record: Record) -> None:
    """F2."""
    control.send()
    line = in_hand(control)
    killed_at = time.time()
    kill_tree(control.workers[0].pid)
    control.settle()
    record(f"control-F2-{control.variant}", **control.figures(killed_at, line["number"]))


def test_control_a_killed_redis(control: Control, record: Record) -> None:
    """F8."""
    control.send()
    line = in_hand(control)
    killed_at = time.time()
    with outage(control.cluster.data_directory, REDIS, signal.SIGKILL):
        end = time.monotonic() + OUTAGE_SECONDS
        until(lambda: time.monotonic() >= end, OUTAGE_SECONDS + 1, "the clock stands")
    back_at = time.time()
    control.settle()
    figures = control.figures(killed_at, line["number"])
    record(f"control-F8-{control.variant}", **figures, drained_after_return_s=round(time.time() - back_at, 2))
