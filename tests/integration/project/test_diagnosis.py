"""What `clustercore doctor` says of the servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from django.conf import LazySettings
from psycopg.conninfo import conninfo_to_dict

from clustercore.embedded.adapters.migration import establish_role_settings
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.project.command_line.diagnosis import cluster_findings
from clustercore.terminal.domain.findings import HINT, OK, Finding
from tests import pooler
from tests.conftest import database_url_of

pytestmark = pytest.mark.services
NAME = "diagnosed"


@pytest.fixture
def database_url(services: Endpoints) -> Iterator[str]:
    """A database that nothing has been done to."""
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {NAME}")
    yield database_url_of(services.database_url, NAME)
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def found_at(endpoints: Endpoints, settings: LazySettings) -> dict[str, Finding]:
    settings.ENDPOINTS = endpoints
    return {finding.about: finding for finding in cluster_findings()}


def test_settings_that_the_role_lacks_are_named_with_the_remedy(
    database_url: str, services: Endpoints, settings: LazySettings, db: None
) -> None:
    endpoints = replace(services, database_url=database_url)
    missing = found_at(endpoints, settings)["role settings"]
    assert missing.state == HINT
    assert "lock_timeout is 0, not 5s" in missing.text and "manage.py migrate" in missing.text
    establish_role_settings(conninfo_to_dict(database_url))
    assert "role settings" not in found_at(endpoints, settings)


def test_a_database_without_pgvector_works_and_is_told_how_to_have_it(
    database_url: str, services: Endpoints, settings: LazySettings, db: None
) -> None:
    assert found_at(services, settings)["pgvector"].state == OK
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE {NAME}")
        link.execute(f"CREATE DATABASE {NAME} TEMPLATE template0")
    missing = found_at(replace(services, database_url=database_url), settings)["pgvector"]
    assert missing.state == HINT
    assert "CREATE EXTENSION vector" in missing.text


@pytest.mark.skipif(pooler.PROGRAM is None, reason=pooler.ABSENT)
def test_a_pooler_is_told(services: Endpoints, settings: LazySettings, db: None) -> None:
    assert "pooled" not in found_at(services, settings)["postgresql"].text
    with pooler.running_pooler(services) as url:
        told = found_at(replace(services, database_url=url), settings)["postgresql"]
    assert told.state == OK
    assert "pooled" in told.text
