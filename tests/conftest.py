"""Servers for the tests that need them: one private PostgreSQL and Redis per session, started on first use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connections
from xdist.scheduler import LoadScopeScheduling

from clustercore.access.services import audit_checkpoints
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.services import ensure_running, stop
from tests.leftovers import nothing_left_running

DATA_DIRECTORY = Path(os.environ["CLUSTERCORE_TEST_DATA_DIR"])
SHARED_HUBS = ("faults", "web")
"""Directories whose tests have a hub in common."""


class OneProcessForEachHub(LoadScopeScheduling):  # type: ignore[misc]
    """Tests that share a hub, or the fixtures of a file, go to the same of the processes that share the tests."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        directory = file.removeprefix("tests/").partition("/")[0]
        return directory if directory in SHARED_HUBS else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Used by `--dist load`, which `-n` means."""
    return OneProcessForEachHub(config, log)


@pytest.fixture(scope="session")
def services() -> Iterator[Endpoints]:
    """The session's PostgreSQL and Redis, running, and their addresses."""
    with ensure_running(DATA_DIRECTORY, linger_seconds=5) as lease:
        yield lease.endpoints
    stop(DATA_DIRECTORY)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, services: Endpoints) -> None:
    """The test database needs a server."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, services: Endpoints) -> Iterator[None]:
    """Free the test database of every connection before it is dropped, also those of forgotten threads."""
    name = str(settings.DATABASES["default"]["NAME"])
    # Between tests Django empties every table at once, which the audit log refuses; a test of its own turns this on.
    with psycopg.connect(database_url_of(services.database_url, name), autocommit=True) as link:
        link.execute("ALTER TABLE access_auditentry DISABLE TRIGGER access_audit_table_stays")
    yield
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


@pytest.fixture(autouse=True)
def no_checkpoint_after_the_test() -> Iterator[None]:
    """A checkpoint of the audit log that is due within a minute must not fall into another test."""
    yield
    audit_checkpoints._pace.forget()


@pytest.fixture(autouse=True)
def leaves_nothing_running() -> Iterator[None]:
    """Every test ends what it started; who does not is named at once, and not by a test that fails for it later."""
    with nothing_left_running():
        yield


@pytest.fixture
def redis_client(services: Endpoints) -> Iterator[redis.Redis]:
    """A client of the session's Redis, emptied before and after the test."""
    with redis.Redis.from_url(services.redis_url) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture
def service_environment(transactional_db: None, services: Endpoints) -> dict[str, str]:
    """Environment of a process of the product, such as a worker, on the test database and the session's Redis."""
    name = str(connections["default"].settings_dict["NAME"])
    own = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCORE_TEST_")}
    return own | {
        "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
        "CLUSTERCORE_DATA_DIR": str(DATA_DIRECTORY),
        "DATABASE_URL": database_url_of(services.database_url, name),
        "REDIS_URL": services.redis_url,
    }


def database_url_of(database_url: str, name: str) -> str:
    """The same server and role, another database."""
    head, _, query = database_url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"
