"""One cluster for all fault tests; each row of the fault matrix leaves its figures as JSON."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from clustercore.blobs.services import establish_hub
from clustercore.embedded.domain.endpoints import Endpoints
from tests.conftest import DATA_DIRECTORY, database_url_of
from tests.databases import own_database
from tests.faults.cluster import Cluster
from tests.faults.recording import Recording, make_recording

DATABASE = "faults"
LOG_CHARACTERS = 4000
RESULTS_VARIABLE = "CLUSTERCORE_FAULT_RESULTS"
Record = Callable[..., None]


@pytest.fixture(scope="package")
def ledger(services: Endpoints, django_db_blocker: DjangoDbBlocker) -> Iterator[Endpoints]:
    """A migrated database for all fault tests together, which this process uses while they run."""
    with own_database(DATABASE, services, django_db_blocker) as migrated:
        yield migrated


@pytest.fixture(scope="package")
def shared_cluster(ledger: Endpoints) -> Iterator[Cluster]:
    """The hub without a node."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-faults-"))
    own = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCORE_")}
    environment = own | {
        "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
        "CLUSTERCORE_DATA_DIR": str(DATA_DIRECTORY),
        "DATABASE_URL": database_url_of(ledger.database_url, DATABASE),
        "REDIS_URL": ledger.redis_url,
    }
    establish_hub(DATA_DIRECTORY, "http://127.0.0.1:1")
    cluster = Cluster(DATA_DIRECTORY, directory, environment)
    yield cluster
    cluster.stop(*cluster.workers)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def cluster(shared_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with loose strings, no open job, and no node at work but those that a test asks for."""
    shared_cluster.begin()
    yield shared_cluster
    shared_cluster.end(request.node.nodeid)


@pytest.fixture(scope="package")
def recordings(shared_cluster: Cluster) -> Callable[[str], Recording]:
    """Recordings by name: `long` gives 40 pieces or more, the others about eight; each has words of its own."""
    made: dict[str, Recording] = {}

    def recording(name: str) -> Recording:
        if name not in made:
            words = 120 if name == "long" else 24
            made[name] = make_recording(shared_cluster.directory, name, words, first=1000 * (len(made) + 1))
        return made[name]

    return recording


@pytest.fixture(scope="session")
def results_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`CLUSTERCORE_FAULT_RESULTS`, which `make faults` sets; else a temporary one, so that CI leaves the tree clean."""
    named = os.environ.get(RESULTS_VARIABLE)
    path = Path(named) if named else tmp_path_factory.mktemp("fault-results")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def record(results_directory: Path, request: pytest.FixtureRequest) -> Record:
    """Writes the figures of a row of the fault matrix to `<id>.json`."""

    def write(row: str, **figures: Any) -> None:
        content = {
            "id": row,
            "test": request.node.name,
            "configuration": "heartbeat 2 s, lease 8 s, grace 3 s",
            **figures,
        }
        (results_directory / f"{row}.json").write_text(json.dumps(content, indent=2) + "\n")

    return write


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the end of each worker's log."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and cluster is not None:
        report.sections += [
            (f"log of {name}", worker.log[-LOG_CHARACTERS:]) for name, worker in cluster.workers.items()
        ]
    return report
