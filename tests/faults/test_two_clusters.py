"""A node that works for two clusters in turn: what it kept for one is nothing to the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from clustercore.blobs.services import establish_hub
from clustercore.config.environment import environment
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.jobs.models import Attempt, Unit
from clustercore.nodes.models import Node
from tests.cast import PI, WORKSTATION
from tests.conftest import database_url_of
from tests.databases import redis_database, use_database
from tests.faults.cluster import Cluster, heard_words
from tests.faults.conftest import DATABASE, Record
from tests.faults.recording import Recording
from tests.faults.waiting import until

pytestmark = [pytest.mark.services, pytest.mark.fault, pytest.mark.timeout(600)]

OTHER = "otherhub"
FIRST_NUMBER = 1_000_000


@pytest.fixture
def other(cluster: Cluster, ledger: Endpoints, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A second cluster with a ledger, a store and a queue of its own; this process's connection leads to the first."""
    directory = cluster.directory / OTHER
    directory.mkdir(mode=0o711)
    with psycopg.connect(ledger.database_url, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {OTHER}")
    url = database_url_of(ledger.database_url, OTHER)
    redis_url = redis_database(ledger.redis_url, 9)
    variables = {"DATABASE_URL": url, "REDIS_URL": redis_url, "CLUSTERCORE_DATA_DIR": str(directory)}
    made = Cluster(directory, directory, {**cluster.environment, **variables})
    use_database(OTHER)
    call_command("migrate", verbosity=0, interactive=False)
    monkeypatch.setenv("CLUSTERCORE_DATA_DIR", str(directory))
    environment.cache_clear()
    establish_hub(directory, "http://127.0.0.1:1")
    use_database(DATABASE)
    monkeypatch.undo()
    environment.cache_clear()
    yield made
    made.stop(*made.workers)
    use_database(DATABASE)
    with psycopg.connect(ledger.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE {OTHER} WITH (FORCE)")


class At:
    """This process's models and services, at one of the two clusters for as long as the block runs."""

    def __init__(self, database: str, cluster: Cluster) -> None:
        self._database = database
        self._cluster = cluster
        self._before = os.environ["CLUSTERCORE_DATA_DIR"]

    def __enter__(self) -> Cluster:
        self._move(self._database, str(self._cluster.data_directory))
        return self._cluster

    def __exit__(self, *_: object) -> None:
        self._move(DATABASE, self._before)

    def _move(self, database: str, directory: str) -> None:
        use_database(database)
        os.environ["CLUSTERCORE_DATA_DIR"] = directory
        environment.cache_clear()


def kept_in(directory: Path) -> list[Path]:
    return sorted((directory / "spool").rglob("*.json"))


def let_in(ledger: Endpoints, *, allowed: bool) -> None:
    """Whether the other hub's database can be reached."""
    with psycopg.connect(ledger.database_url, autocommit=True) as link:
        link.execute(f"ALTER DATABASE {OTHER} WITH ALLOW_CONNECTIONS {allowed}")
        if not allowed:
            link.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [OTHER])


def test_a_result_kept_for_one_cluster_never_counts_in_another_and_counts_at_home(
    cluster: Cluster, other: Cluster, ledger: Endpoints, recordings: Callable[[str], Recording], record: Record
) -> None:
    """Both ledgers have a live attempt of the very same number when the node changes sides."""
    cluster.stop(*cluster.workers)
    there, here = recordings("short"), recordings("other")
    other.pull(seconds="3.0")
    with At(OTHER, other):
        with psycopg.connect(database_url_of(ledger.database_url, OTHER), autocommit=True) as link:
            link.execute("SELECT setval('jobs_attempt_id_seq', %s)", [FIRST_NUMBER])
        foreign_job = other.submit(there)
        other.start(PI)
        number = other.until_in_hand(foreign_job, PI, 90).pk
    let_in(ledger, allowed=False)
    until(lambda: len(kept_in(other.data_directory)) == 1, 60, "nothing was kept on disk")
    other.stop(PI)

    with psycopg.connect(database_url_of(ledger.database_url, DATABASE), autocommit=True) as link:
        link.execute("SELECT setval('jobs_attempt_id_seq', %s)", [number - 2])
    cluster.start(WORKSTATION)
    tested = Node.objects.filter(name=WORKSTATION, self_test__inventory=["oracle:tones"])
    until(tested.exists, 90, "the self-test does not end")
    cluster.pull(seconds="90.0")
    job = cluster.submit(here)
    held = cluster.until_in_hand(job, WORKSTATION, 90)
    assert held.pk == number
    cluster.start(PI, CLUSTERCORE_DATA_DIR=str(other.data_directory))
    until(lambda: "are kept until" in cluster.workers[PI].log, 60, "the node said nothing of what it keeps")
    assert Attempt.objects.get(pk=number).outcome == "live"
    cluster.pull(seconds="0.1")
    cluster.until_done(job, 90)
    assert heard_words(job) == here.words
    cluster.stop(PI, WORKSTATION)
    assert len(kept_in(other.data_directory)) == 1

    let_in(ledger, allowed=True)
    other.pull(seconds="0.1")
    with At(OTHER, other):
        other.start(PI)
        other.until_done(foreign_job, 90)
        assert heard_words(foreign_job) == there.words
        delivered = Attempt.objects.get(pk=number)
        assert (delivered.outcome, delivered.unit.attempts_made, delivered.unit.strikes) == ("done", 1, 0)
        units = Unit.objects.filter(job=foreign_job).count()
    other.stop(PI)
    assert not kept_in(other.data_directory)
    record("two-clusters", foreign=0, same_number=number, units_at_home=units)
