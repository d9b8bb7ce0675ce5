"""Every fault as a block: it is in force while the block runs, and undone at its end."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil

from clustercore.jobs.models import Job
from tests.faults.disks import fill
from tests.faults.outages import IMMEDIATE, REDIS, outage
from tests.faults.puppet import executions
from tests.faults.recording import Recording
from tests.faults.soak.clock import set_clock, why_no_steps
from tests.faults.soak.load import Load
from tests.faults.soak.site import VISITOR, Site
from tests.faults.strangers import strangers
from tests.faults.waiting import until
from tests.faults.workers import Worker
from tests.web.hub import answers
from transcription.models import Piece

BACK_SECONDS = 120.0
LONG_PIECE_SECONDS = 4.0


class Skipped(Exception):
    """A fault that cannot be done here; the message says why."""


class Acts:
    """The faults by name; each takes the parameters that the schedule drew for it."""

    def __init__(self, site: Site, load: Load, shared: Recording, foreign: Recording) -> None:
        self.foreign_jobs: dict[int, Recording] = {}
        self._site, self._load = site, load
        self._shared, self._foreign = shared, foreign
        self._old = load.submit(shared, LONG_PIECE_SECONDS)

    def named(self, name: str) -> Callable[..., AbstractContextManager[None]]:
        """The act of a fault."""
        found: Callable[..., AbstractContextManager[None]] = getattr(self, name)
        return found

    @property
    def foreign_words(self) -> frozenset[str]:
        """What no text here may have."""
        return frozenset(self._foreign.words)

    @contextmanager
    def power_cut(self, node: str) -> Iterator[None]:
        """A node and all its hosts vanish; the machine starts anew."""
        self._site.cluster.workers[node].kill_tree()
        self._site.cluster.stop(node)
        yield
        self._site.start_node(node)

    @contextmanager
    def clock_step(self, seconds: int) -> Iterator[None]:
        """The clock of the hub's servers is set, and set back."""
        if why_no_steps():
            raise Skipped(why_no_steps())
        set_clock(self._site.offset_file, seconds)
        try:
            yield
        finally:
            set_clock(self._site.offset_file, 0)

    @contextmanager
    def full_disk(self, disk: str) -> Iterator[None]:
        """Not a byte is left."""
        filler = fill(self._site.hub_disk if disk == "hub" else self._site.far_disk)
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def stalled_connections(self, count: int) -> Iterator[None]:
        """Strangers hold on to the one port and say only what needs no password."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with strangers(self._site.gateway, count):
            yield

    @contextmanager
    def taken_port(self) -> Iterator[None]:
        """The web process dies, and a stranger sits where it listened, and never answers."""
        port = self._site.web_port
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            until(lambda: self._took(stranger, port), 30, "the port could not be taken")
            stranger.listen()
            yield
        until(lambda: answers(f"http://127.0.0.1:{port}"), BACK_SECONDS, "the web process did not come back")

    def _took(self, stranger: socket.socket, port: int) -> bool:
        for process in self._site.web_processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(5)
        try:
            stranger.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

    @contextmanager
    def server_away(self, server: str) -> Iterator[None]:
        """A server is killed, and its supervisor is frozen."""
        with outage(self._site.hub_disk, server, signal.SIGKILL if server == REDIS else IMMEDIATE):
            yield

    @contextmanager
    def shared_removal(self, pieces: int) -> Iterator[None]:
        """The old job of a recording goes while a new one of the same is being cut."""
        old = self._old
        until(lambda: _state_of(old) == "done", BACK_SECONDS, lambda: f"the old job is {_state_of(old)}")
        self._old = self._load.submit(self._shared, LONG_PIECE_SECONDS)
        found = Piece.objects.filter(recording__job=self._old)
        until(lambda: found.count() >= pieces, BACK_SECONDS, "nothing is cut")
        self._load.remove(old)
        yield

    @contextmanager
    def visitor(self) -> Iterator[None]:
        """The second cluster's node comes with a result that it could not deliver, and works here for a while."""
        site = self._site
        key = f"visit-{len(self.foreign_jobs)}"
        self.foreign_jobs[site.at_second_cluster("submit", str(self._foreign.path), key)] = self._foreign
        self._leave_with_a_result()
        try:
            worker = site.start_visitor()
            yield
            _end_politely(worker)
        finally:
            site.cluster.stop(VISITOR)
            site.open_abroad(allowed=True)

    def _leave_with_a_result(self) -> None:
        since, worker = time.time(), self._site.start_abroad()
        try:
            until(lambda: _has_begun(self._site.abroad.strings, since), BACK_SECONDS, "the second cluster does nothing")
            self._site.open_abroad(allowed=False)
            until(self._site.kept_abroad, BACK_SECONDS, "nothing was kept for the second cluster")
        finally:
            worker.close()

    def finish_abroad(self) -> None:
        """The visitor goes home, and does what is left there."""
        self._site.open_abroad(allowed=True)
        self._site.abroad.pull(seconds="0.1")
        worker = self._site.start_abroad()
        try:
            until(self._all_done_abroad, BACK_SECONDS, "the second cluster does not finish")
        finally:
            worker.close()

    def _all_done_abroad(self) -> bool:
        return all(job["state"] == "done" for job in self._site.at_second_cluster("seen"))


def _state_of(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


def _has_begun(strings: Path, since: float) -> bool:
    """Whether an engine has begun a piece after the one of its self-test."""
    return sum(execution.what == "begun" and execution.at > since for execution in executions(strings)) > 1


def _end_politely(worker: Worker) -> None:
    """It hands back what it holds."""
    worker.signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        worker.process.wait(30)
