"""A whole hub for the tests of pages: web process, Flower and two workers, as processes of their own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from django.conf.global_settings import PASSWORD_HASHERS
from django.contrib.auth.models import User
from django.test import override_settings

from clustercore.blobs.services import establish_hub
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.project import web
from clustercore.project.command_line.processes import flower_command
from clustercore.project.flower.process import credentials, socket_path
from tests.faults.cluster import Cluster
from tests.faults.recording import Recording, make_recording
from tests.faults.waiting import until
from tests.fork_server import ROOT, Forked, fork_server
from tests.people import PASSWORD, ROLES, person

START_SECONDS = 60.0


@dataclass
class Hub:
    """Where the pages are, and the cluster behind them."""

    url: str
    cluster: Cluster
    recordings: dict[str, Recording] = field(default_factory=dict)

    def recording(self, name: str, words: int = 24) -> Recording:
        """A recording with words of its own, about eight pieces of it where a job is cut into the shortest."""
        if name not in self.recordings:
            first = 2000 + 500 * len(self.recordings)
            self.recordings[name] = make_recording(self.cluster.directory, name, words, first=first)
        return self.recordings[name]

    @contextmanager
    def signed_in(self, name: str) -> Iterator[httpx.Client]:
        """A client that came in by the sign-in page, as a browser does."""
        with httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=30) as client:
            client.get("/sign-in/")
            form = {"name": name, "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
            assert client.post("/sign-in/", data=form).status_code == 302
            yield client


@contextmanager
def running_hub(cluster: Cluster) -> Iterator[Hub]:
    """The web process and Flower on a cluster; its nodes are the tests' to start."""
    port = free_loopback_port()
    url = f"http://127.0.0.1:{port}"
    establish_hub(cluster.data_directory, url)
    make_people()
    with ExitStack() as stack:
        stack.enter_context(process(cluster, "web", web.command(port=port)))
        stack.enter_context(process(cluster, "flower", flower_command()))
        log = cluster.directory / "web.log"
        until(
            lambda: answers(url), START_SECONDS, lambda: f"the web process does not answer: {log.read_text()[-3000:]}"
        )
        yield Hub(url, cluster)


def make_people() -> None:
    """The whole cast, with passwords hashed as the product does: the tests' own quick hash is unknown to it."""
    with override_settings(PASSWORD_HASHERS=PASSWORD_HASHERS):
        for name in ROLES:
            user: User = person(name)
            user.set_password(PASSWORD)
            user.save()


@contextmanager
def process(cluster: Cluster, name: str, command: list[str]) -> Iterator[Forked]:
    """A process of the hub; its output goes to `<name>.log` of the cluster's directory."""
    log = cluster.directory / f"{name}.log"
    started = fork_server().start_logged(command[1:], cluster.environment, ROOT, log)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(10)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def flower_answers(data_directory: Path) -> bool:
    """Whether Flower takes its password on its socket."""
    path = str(socket_path(data_directory))
    try:
        # httpx forgets to close a unix socket that refuses it.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), auth=credentials(data_directory)) as client:
            return client.get("http://flower/flower/workers?json=1").status_code == 200
    except (OSError, httpx.HTTPError):
        return False
