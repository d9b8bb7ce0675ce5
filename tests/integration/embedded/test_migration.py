"""What stands around a migration: its lock, and the settings that the database keeps for its role."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from clustercore.embedded.adapters.migration import establish_role_settings, migration_lock
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.role_settings import ROLE_SETTINGS
from tests import pooler
from tests.conftest import database_url_of
from tests.integration.embedded.servers import PROJECT

pytestmark = pytest.mark.services
NAME = "to_migrate"


@pytest.fixture
def empty(services: Endpoints) -> Iterator[Endpoints]:
    """The session's servers and an empty database in them."""
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {NAME}")
    yield replace(services, database_url=database_url_of(services.database_url, NAME))
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def migrate(endpoints: Endpoints, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        env=environment | {"DATABASE_URL": endpoints.database_url},
        cwd=PROJECT,
        stderr=subprocess.PIPE,
        text=True,
    )


def migrations_in(url: str) -> list[str]:
    with psycopg.connect(url) as link:
        return [f"{app}.{name}" for app, name in link.execute("SELECT app, name FROM django_migrations")]


def settings_in(url: str) -> dict[str, str]:
    with psycopg.connect(url) as link:
        return {
            name: str(row[0])
            for name in ROLE_SETTINGS
            for row in link.execute("SELECT current_setting(%s)", [name]).fetchall()
        }


@pytest.mark.skipif(pooler.PROGRAM is None, reason=pooler.ABSENT)
def test_two_processes_behind_a_pooler_migrate_an_empty_database_once(
    empty: Endpoints, service_environment: dict[str, str]
) -> None:
    with pooler.running_pooler(empty) as url:
        pooled = replace(empty, database_url=database_url_of(url, NAME))
        migrating = [migrate(pooled, service_environment) for _ in range(2)]
        said = [process.communicate(timeout=120)[1] for process in migrating]
    assert [process.returncode for process in migrating] == [0, 0], said
    done = migrations_in(empty.database_url)
    assert "jobs.0001_initial" in done
    assert len(done) == len(set(done))
    assert settings_in(empty.database_url) == ROLE_SETTINGS


def test_who_waits_too_long_is_told_since_when_another_has_been_migrating(empty: Endpoints) -> None:
    parameters = conninfo_to_dict(empty.database_url)
    with (
        migration_lock(parameters),
        pytest.raises(EmbeddedError, match=r"another process is migrating this database since 20\d\d-.* UTC.*pg_term"),
        migration_lock(parameters, patience_seconds=0.05),
    ):
        pass


def test_who_waits_goes_on_when_the_other_is_done(empty: Endpoints) -> None:
    parameters, order = conninfo_to_dict(empty.database_url), []

    def second() -> None:
        with migration_lock(parameters):
            order.append("second")

    with migration_lock(parameters):
        waiting = threading.Thread(target=second)
        waiting.start()
        with psycopg.connect(empty.database_url, autocommit=True) as link:
            query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while link.execute(query).fetchone() is None:
                assert waiting.is_alive()
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]


def test_a_migration_may_take_longer_than_a_transaction_may_idle(empty: Endpoints) -> None:
    parameters = conninfo_to_dict(empty.database_url)
    with psycopg.connect(empty.database_url, autocommit=True) as link:
        link.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {NAME} SET idle_in_transaction_session_timeout TO '50ms'")
        with migration_lock(parameters):
            link.execute("SELECT pg_sleep(0.2)")


def test_the_settings_are_kept_for_this_database_alone_and_established_once(
    empty: Endpoints, services: Endpoints
) -> None:
    parameters = conninfo_to_dict(empty.database_url)
    before = settings_in(database_url_of(services.database_url, "template1"))
    assert establish_role_settings(parameters)
    assert not establish_role_settings(parameters)
    assert settings_in(empty.database_url) == ROLE_SETTINGS
    assert settings_in(database_url_of(services.database_url, "template1")) == before != ROLE_SETTINGS
