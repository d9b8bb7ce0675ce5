"""Extensions that only a superuser may create are there for the product's role."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from clustercore.embedded.adapters import postgres
from clustercore.embedded.adapters.binaries import PostgresTree, postgres_tree
from clustercore.embedded.adapters.directories import layout_of, prepare
from clustercore.embedded.adapters.program_process import LOG
from clustercore.embedded.domain.endpoints import DATABASE, Endpoints
from clustercore.embedded.services import ensure_running
from tests.conftest import database_url_of

pytestmark = pytest.mark.services
OTHER = "with_vectors"


def distance(url: str) -> float:
    with psycopg.connect(url) as link:
        row = link.execute("SELECT '[1,2]'::vector <-> '[3,4]'::vector").fetchone()
    assert row is not None
    return float(row[0])


def test_a_new_data_directory_compares_vectors_also_in_databases_that_the_role_makes(services: Endpoints) -> None:
    assert distance(database_url_of(services.database_url, DATABASE)) == pytest.approx(8**0.5)
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {OTHER}")
    try:
        assert distance(database_url_of(services.database_url, OTHER)) == pytest.approx(8**0.5)
    finally:
        with psycopg.connect(services.database_url, autocommit=True) as link:
            link.execute(f"DROP DATABASE {OTHER} WITH (FORCE)")


@pytest.fixture
def directory_of_before(data_directory: Path) -> Path:
    """A data directory, stopped, whose databases were made without extensions."""
    layout = layout_of(data_directory)
    account = prepare(layout)
    tree = postgres_tree(layout, account)
    for database in ("template1", DATABASE):
        postgres._run_alone(tree, account, layout.postgres_data, database, ["DROP EXTENSION vector"])
    (layout.secrets / "postgres.provisioned").write_text("as the version before marked it")
    return data_directory


def test_an_older_data_directory_is_given_them_at_its_next_start(directory_of_before: Path) -> None:
    with ensure_running(directory_of_before, linger_seconds=0) as lease:
        assert distance(lease.endpoints.database_url) == pytest.approx(8**0.5)


def test_a_server_that_brings_none_says_so_and_works(
    new_directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(PostgresTree, "brings", lambda _tree, _extension: False)
    layout = layout_of(new_directory)
    with caplog.at_level("WARNING", logger=LOG.name):
        postgres.postgres_program(layout, prepare(layout))
    assert "brings no extension vector" in caplog.text
    assert (layout.postgres_data / "PG_VERSION").is_file()
