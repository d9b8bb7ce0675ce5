"""A hub that programs talk to: a web process and one node with puppets for engines, on a database of their own."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest
from pytest_django.plugin import DjangoDbBlocker

from clustercore.blobs.services import establish_hub
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import NotPossible, cancel_job
from clustercore.project import web
from tests.conftest import DATA_DIRECTORY, database_url_of
from tests.databases import own_database
from tests.faults.cluster import Cluster
from tests.faults.recording import Recording, make_recording
from tests.faults.waiting import until
from tests.fork_server import Forked
from tests.people import token_of
from tests.web.hub import answers, process

DATABASE = "programs"
NODE = "workstation"
NODE_WAIT_SECONDS = 2.0
BACKLOG_LIMIT = 400
IMPORTS = "imports"
SETTINGS = {
    "CLUSTERCORE_ENGINES": json.dumps(
        [
            "transcription.adapters.media:MediaCutter",
            "tests.faults.puppet:Puppet",
            "tests.fakes.transcription.engines.interpreter:Interpreter",
        ]
    ),
    "CLUSTERCORE_TIERS": json.dumps({"stt": ["oracle:*", "interpreter:*"], "translate": ["oracle:*", "interpreter:*"]}),
    "CLUSTERCORE_NODE_WAIT_SECONDS": str(NODE_WAIT_SECONDS),
    "CLUSTERCORE_BACKLOG_LIMIT": str(BACKLOG_LIMIT),
    "CLUSTERCORE_REQUESTS_PER_MINUTE": "100000",
    "CLUSTERCORE_MAX_UPLOAD_GB": "0.02",
}


@dataclass
class Hub:
    """Where it answers, the cluster behind it, and people's tokens."""

    url: str
    cluster: Cluster
    web: Forked
    tokens: dict[str, str] = field(default_factory=dict)
    recordings: dict[str, Recording] = field(default_factory=dict)
    http: httpx2.Client = field(default_factory=lambda: httpx2.Client(trust_env=False))

    @property
    def imports(self) -> Path:
        """The folder from which files may be taken by path."""
        return self.cluster.directory / IMPORTS

    def recording(self, name: str, words: int = 12) -> Recording:
        """A recording whose words no other recording has."""
        if name not in self.recordings:
            first = 1000 + 500 * len(self.recordings)
            self.recordings[name] = make_recording(self.cluster.directory, name, words, first=first)
        return self.recordings[name]

    def token(self, name: str) -> str:
        """One for each person, made once."""
        if name not in self.tokens:
            self.tokens[name] = token_of(name)
        return self.tokens[name]

    def client(self, name: str = "otto", **headers: str) -> httpx.Client:
        """Over plain HTTP."""
        headers = {"Authorization": f"Bearer {self.token(name)}", **headers}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def sdk(self, name: str = "otto", *, token: str = "", **options: Any) -> openai.OpenAI:
        """The real client of the OpenAI API, for a person or with a token."""
        settings: dict[str, Any] = {"max_retries": 0, "timeout": 60, **options}
        key = token or self.token(name)
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, http_client=self.http, **settings)


@pytest.fixture(scope="package")
def ledger(services: Endpoints, django_db_blocker: DjangoDbBlocker) -> Iterator[Endpoints]:
    """A migrated database for the tests of this package together, which this process uses while they run."""
    with own_database(DATABASE, services, django_db_blocker) as migrated:
        yield migrated


@pytest.fixture(scope="package")
def hub(ledger: Endpoints) -> Iterator[Hub]:
    """The web process; its node is running, and whoever stops it starts it again."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-programs-"))
    (directory / IMPORTS).mkdir()
    own = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCORE_")}
    environment = own | SETTINGS | {
        "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
        "CLUSTERCORE_DATA_DIR": str(DATA_DIRECTORY),
        "CLUSTERCORE_IMPORT_FOLDERS": json.dumps([str(directory / IMPORTS)]),
        "DATABASE_URL": database_url_of(ledger.database_url, DATABASE),
        "REDIS_URL": ledger.redis_url,
    }  # fmt: skip
    port = free_loopback_port()
    url = f"http://127.0.0.1:{port}"
    establish_hub(DATA_DIRECTORY, url)
    cluster = Cluster(DATA_DIRECTORY, directory, environment)
    log = directory / "web.log"
    with process(cluster, "web", web.command(port=port)) as started:
        until(lambda: answers(url), 60, lambda: f"the web process does not answer: {log.read_text()[-3000:]}")
        start_node(cluster)
        running = Hub(url, cluster, started)
        yield running
        running.http.close()
        cluster.stop(*cluster.workers)
    shutil.rmtree(directory, ignore_errors=True)


def start_node(cluster: Cluster) -> None:
    """One node with puppets for engines."""
    cluster.start(NODE, **SETTINGS)


@pytest.fixture(autouse=True)
def loose(hub: Hub) -> Iterator[None]:
    """Every test finds a node that works, engines that behave, and no job of another before its own."""
    hub.cluster.loosen()
    yield
    for job in Job.objects.exclude(state__in=FINAL_JOB_STATES):
        # It may end by itself meanwhile.
        with suppress(NotPossible):
            cancel_job(job.pk)
    hub.cluster.loosen()
    start_node(hub.cluster)
