"""Backups of the embedded database: whole, private, few."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from clustercore.embedded.adapters.backups import back_up, has_jobs
from clustercore.embedded.adapters.binaries import postgres_tree
from clustercore.embedded.adapters.processes import CHILD_ENVIRONMENT
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout
from tests.conftest import database_url_of

pytestmark = pytest.mark.services


@contextmanager
def database(services: Endpoints, name: str) -> Iterator[str]:
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {name}")
    yield database_url_of(services.database_url, name)
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def with_a_job(services: Endpoints) -> Iterator[str]:
    """A database with a table of jobs, and one in it."""
    with database(services, "backed_up") as url:
        with psycopg.connect(url) as link:
            link.execute("CREATE TABLE jobs_job (title text); INSERT INTO jobs_job VALUES ('meeting')")
        yield url


def parameters_of(url: str) -> dict[str, Any]:
    return dict(conninfo_to_dict(url))


def test_a_database_has_jobs_or_it_need_not_be_backed_up(services: Endpoints, with_a_job: str) -> None:
    assert has_jobs(parameters_of(with_a_job))
    with psycopg.connect(with_a_job) as link:
        link.execute("DELETE FROM jobs_job")
    assert not has_jobs(parameters_of(with_a_job))
    with database(services, "never_migrated") as url:
        assert not has_jobs(parameters_of(url))


def test_a_backup_can_be_restored_into_a_new_database(services: Endpoints, with_a_job: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    copy = back_up(layout, parameters_of(with_a_job), keep=3)
    with database(services, "restored") as url:
        program = postgres_tree(layout, None).program("pg_restore")
        command = [program, "--no-owner", "--schema=public", "--exit-on-error", "--dbname", url, str(copy)]
        done = subprocess.run(command, env=CHILD_ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with psycopg.connect(url) as link:
            assert link.execute("SELECT title FROM jobs_job").fetchall() == [("meeting",)]


def test_the_latest_are_kept_and_nobody_else_reads_them(with_a_job: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    made = [back_up(layout, parameters_of(with_a_job), keep=3) for _ in range(5)]
    assert sorted(layout.backups.iterdir()) == made[2:]
    assert stat.S_IMODE(layout.backups.stat().st_mode) == 0o700
    assert stat.S_IMODE(made[-1].stat().st_mode) == 0o600


def test_one_that_fails_leaves_nothing_and_names_the_remedy(services: Endpoints, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    nowhere = parameters_of(database_url_of(services.database_url, "no_such_database"))
    with pytest.raises(EmbeddedError, match="CLUSTERCORE_BACKUPS_KEPT=0"):
        back_up(layout, nowhere, keep=3)
    assert list(layout.backups.iterdir()) == []


def test_a_place_where_no_backup_can_lie_is_told_with_the_remedy(with_a_job: str, tmp_path: Path) -> None:
    Layout(tmp_path).backups.write_text("somebody's notes")
    with pytest.raises(EmbeddedError, match="CLUSTERCORE_BACKUPS_KEPT=0"):
        back_up(Layout(tmp_path), parameters_of(with_a_job), keep=3)
    assert Layout(tmp_path).backups.read_text() == "somebody's notes"
