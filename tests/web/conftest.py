"""One hub for all tests of pages, and a window of Chromium for each test that wants one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from clustercore.embedded.domain.endpoints import Endpoints
from tests.cast import LAPTOP, WORKSTATION
from tests.conftest import DATA_DIRECTORY, database_url_of
from tests.databases import own_database
from tests.faults.cluster import Cluster
from tests.web.browser import Browser, chromium, why_not
from tests.web.hub import Hub, running_hub

DATABASE = "pages"
LOG_CHARACTERS = 4000


@pytest.fixture(scope="package")
def ledger(services: Endpoints, django_db_blocker: DjangoDbBlocker) -> Iterator[Endpoints]:
    """A migrated database for all tests of pages together, which this process uses while they run."""
    with own_database(DATABASE, services, django_db_blocker) as migrated:
        yield migrated


@pytest.fixture(scope="package")
def hub(ledger: Endpoints) -> Iterator[Hub]:
    """Web process and Flower, with two quick nodes."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-pages-"))
    own = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCORE_")}
    environment = own | {
        "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
        "CLUSTERCORE_DATA_DIR": str(DATA_DIRECTORY),
        "DATABASE_URL": database_url_of(ledger.database_url, DATABASE),
        "REDIS_URL": ledger.redis_url,
        # A job cut into many pieces, so that there is something to watch.
        "CLUSTERCORE_PIECE_SECONDS": "2.0",
    }
    cluster = Cluster(DATA_DIRECTORY, directory, environment)
    try:
        with running_hub(cluster) as running:
            cluster.start(WORKSTATION, LAPTOP)
            yield running
    finally:
        cluster.stop(*cluster.workers)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def browser(hub: Hub, tmp_path: Path) -> Iterator[Browser]:
    """A window; an error in its console fails the test, a refusal by the content policy is one."""
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with chromium(hub.url, tmp_path / "chromium") as window:
        yield window
        assert window.complaints() == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the end of the web process's log."""
    report = yield
    hub = getattr(item, "funcargs", {}).get("hub")
    log = hub.cluster.directory / "web.log" if hub is not None else None
    if report.failed and log is not None and log.exists():
        report.sections.append(("log of the web process", log.read_text()[-LOG_CHARACTERS:]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A run without a browser must not look like one with it."""
    missing = why_not()
    if missing:
        terminalreporter.write_line(f"The pages were NOT tried in a browser: {missing}", yellow=True)
