"""Worker processes that a test may kill, freeze and look into."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from clustercore.nodes.models import Node
from tests.faults.waiting import until
from tests.fork_server import Forked, fork_server

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0


class Worker:
    """`celery -A clustercore worker` as a node of its own. Start it from the main thread."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, prefix: Sequence[str] = ()) -> None:
        self.name = name
        self.log_file = log
        self._log_begins = log.stat().st_size if log.exists() else 0
        self._environment, self._prefix = dict(environment), tuple(prefix)
        words = ["-m", "celery", "-A", "clustercore", "worker", "--loglevel", "INFO"]
        words += ["--hostname", f"{name}@%h", "--include", "tests.faults.failpoints"]
        self.process: subprocess.Popen[bytes] | Forked = (
            behind_prefix([*prefix, sys.executable, *words], environment, log)
            if prefix
            else fork_server().start_logged(words, environment, ROOT, log)
        )

    @property
    def log(self) -> str:
        return self.log_file.read_bytes()[self._log_begins :].decode(errors="replace")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def well(self) -> bool:
        """Whether it runs, and neither it nor a host of its is frozen."""
        return self.running and all(process.status() != psutil.STATUS_STOPPED for process in self.tree())

    def is_started_with(self, environment: Mapping[str, str], prefix: Sequence[str]) -> bool:
        """Whether it runs, and as one that is started like this would."""
        return self.running and (self._environment, self._prefix) == (dict(environment), tuple(prefix))

    def node(self) -> Node:
        return Node.objects.get(name=self.name)

    def taking_work(self) -> bool:
        """Whether this very process has registered and holds nothing back."""
        assert self.running, f"{self.name} ended:\n{self.log[-3000:]}"
        return Node.objects.filter(name=self.name, process_id=self.process.pid, online=True, hold_reason="").exists()

    def until_taking_work(self) -> Worker:
        """Waits for its registration. Fails with the end of its log."""
        until(self.taking_work, START_SECONDS, f"{self.name} does not take work")
        return self

    def tree(self) -> list[psutil.Process]:
        """The worker and all its hosts, the worker first."""
        try:
            worker = psutil.Process(self.process.pid)
            return [worker, *worker.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def hosts(self) -> list[psutil.Process]:
        """Its engine runners that live."""
        return [process for process in self.tree()[1:] if process.status() != psutil.STATUS_ZOMBIE]

    def signal(self, number: int) -> None:
        """To the worker alone."""
        self.process.send_signal(number)

    def signal_tree(self, number: int) -> None:
        """To the worker and its hosts at once."""
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill_tree(self) -> None:
        """What pulling the plug does, and nothing is left to wait for."""
        self.signal_tree(signal.SIGKILL)
        self.process.wait(10)

    def close(self) -> None:
        """Ends it whatever its state."""
        if self.running:
            self.signal_tree(signal.SIGCONT)
            self.signal_tree(signal.SIGKILL)
        self.process.wait(10)


def behind_prefix(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """What another program starts."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command, env=dict(environment), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, process_group=0
        )


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, buried or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def exists(process_id: int) -> bool:
    """Whether a process lives that is not our child."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return not is_gone(psutil.Process(process_id))
