"""What the soak stands on: two small disks, a hub whose clock can be set, two nodes of it, and a second cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg

from clustercore.embedded.selectors import resolve_endpoints
from clustercore.embedded.services import stop
from tests.cast import LAPTOP, PI, WORKSTATION
from tests.databases import redis_database
from tests.faults.cluster import Cluster
from tests.faults.power import after_a_start
from tests.faults.soak.clock import set_clock, start_servers, why_no_steps
from tests.faults.soak.places import CLOCK, FAR, HUB
from tests.faults.waiting import until
from tests.faults.workers import Worker
from tests.fork_server import ROOT, Forked, fork_server

VISITOR = "visitor"
ABROAD = "abroad"
START_SECONDS = 180.0
STOP_SECONDS = 60.0


@dataclass
class Site:
    """Everything that runs, and what an act may do to it."""

    directory: Path
    up: Forked
    cluster: Cluster
    abroad: Cluster
    url: str
    """The hub's database, which makes and closes the second cluster's."""

    def start_node(self, name: str) -> None:
        """On a machine that has just been switched on; returns when it takes work."""
        settings = self.far_settings(self.far_disk) if name == PI else {}
        self.cluster.start(name, prefix=after_a_start(self.directory), **settings)

    def far_settings(self, data_directory: Path) -> dict[str, str]:
        """A node that has two URLs, which lead through the hub's one port, and a directory."""
        database_url, redis_url = self.cluster.far_urls
        return {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "CLUSTERCORE_DATA_DIR": str(data_directory)}

    def start_abroad(self) -> Worker:
        """The second cluster's node, which works for it."""
        return Worker(VISITOR, self.abroad.worker_environment(VISITOR, {}), self.directory / f"{ABROAD}.log")

    def start_visitor(self) -> Worker:
        """The second cluster's node, with all that it keeps, at the hub."""
        return self.cluster.start(VISITOR, **self.far_settings(self.abroad.data_directory))[0]

    def at_second_cluster(self, *words: str) -> Any:
        """What `abroad` answers."""
        done = fork_server().run(
            ["-m", "tests.faults.soak.abroad", *words], self.abroad.environment, ROOT, timeout=START_SECONDS
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    def open_abroad(self, *, allowed: bool) -> None:
        """Whether the second cluster's database lets anybody in."""
        with psycopg.connect(self.url, autocommit=True) as link:
            link.execute(f"ALTER DATABASE {ABROAD} WITH ALLOW_CONNECTIONS {allowed}")
            if not allowed:
                link.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [ABROAD])

    def kept_abroad(self) -> list[Path]:
        """Results that the second cluster's node could not deliver."""
        return list((self.abroad.data_directory / "spool").rglob("*.json"))

    @property
    def offset_file(self) -> Path:
        return self.directory / CLOCK

    @property
    def hub_disk(self) -> Path:
        return self.directory / HUB

    @property
    def far_disk(self) -> Path:
        return self.directory / FAR

    @property
    def gateway(self) -> tuple[str, int]:
        host, _, port = str(self._up_state()["listens_on"]).rpartition(":")
        return host, int(port)

    @property
    def web_port(self) -> int:
        return int(str(self._up_state()["web_url"]).rpartition(":")[2])

    def web_processes(self) -> list[psutil.Process]:
        """The hub's web process; none while it is away."""
        children = psutil.Process(self.up.pid).children()
        return [child for child in children if str(self.web_port) in _words_of(child)]

    def _up_state(self) -> dict[str, Any]:
        return dict(json.loads((self.hub_disk / "run/up.json").read_text()))


@contextmanager
def running_site(directory: Path) -> Iterator[Site]:
    """All of it; every process is ended at the end. The disks are mounted, and the hub's is this process's own."""
    with ExitStack() as stack:
        stack.callback(stop, directory / HUB)
        if not why_no_steps():
            set_clock(directory / CLOCK, 0)
            start_servers(directory / CLOCK, directory / HUB)
        cluster = Cluster(directory / HUB, directory, _environment(directory / HUB))
        up = stack.enter_context(_running_up(cluster))
        yield stack.enter_context(_peopled(directory, cluster, up))


def _environment(data_directory: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCORE_")}
    return own | {
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
        "CLUSTERCORE_DATA_DIR": str(data_directory),
        "CLUSTERCORE_UNREFERENCED_HOURS": os.environ["CLUSTERCORE_UNREFERENCED_HOURS"],
    }


@contextmanager
def _running_up(cluster: Cluster) -> Iterator[Forked]:
    """`clustercore up` with a node and the one port, in the foreground."""
    words = ["up", "--no-flower", "--name", WORKSTATION, "--slots", "1", "--listen", "127.0.0.1:0"]
    log, state = cluster.directory / "up.log", cluster.data_directory / "run/up.json"
    environment = cluster.worker_environment(WORKSTATION, {})
    up = fork_server().start_logged(["-m", "clustercore.project.command_line.main", *words], environment, ROOT, log)
    try:
        until(lambda: _is_ready(state, up), START_SECONDS, lambda: f"no hub: {log.read_text()[-3000:]}")
        yield up
    finally:
        _end(up)


def _is_ready(state: Path, up: Forked) -> bool:
    assert up.poll() is None, "`clustercore up` ended"
    with suppress(OSError, ValueError):
        return bool(json.loads(state.read_text())["phase"] == "ready")
    return False


def _end(up: Forked) -> None:
    up.terminate()
    try:
        up.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        up.kill()
        up.wait()


@contextmanager
def _peopled(directory: Path, cluster: Cluster, up: Forked) -> Iterator[Site]:
    """The hub's two other nodes, and the second cluster."""
    state = json.loads((cluster.data_directory / "run/up.json").read_text())
    cluster.far_urls = state["database_url"], state["redis_url"]
    endpoints = resolve_endpoints(cluster.data_directory, None, None)
    local = {"DATABASE_URL": endpoints.database_url, "REDIS_URL": endpoints.redis_url}
    cluster.environment = {**cluster.environment, **local}
    abroad = _second_cluster(directory / ABROAD, cluster, endpoints.database_url)
    site = Site(directory, up, cluster, abroad, endpoints.database_url)
    with psycopg.connect(site.url, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {ABROAD}")
    site.at_second_cluster("establish")
    try:
        for name in (LAPTOP, PI):
            site.start_node(name)
        yield site
    finally:
        cluster.stop(*cluster.workers)


def _second_cluster(directory: Path, cluster: Cluster, database_url: str) -> Cluster:
    """A ledger, a store and a queue of its own on the hub's servers."""
    directory.mkdir(mode=0o711)
    redis_url = redis_database(cluster.environment["REDIS_URL"], 9)
    url = urlsplit(database_url)._replace(path=f"/{ABROAD}").geturl()
    variables = {"DATABASE_URL": url, "REDIS_URL": redis_url}
    return Cluster(directory, directory, {**cluster.environment, **variables, "CLUSTERCORE_DATA_DIR": str(directory)})


def _words_of(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
