"""A pooler between the nodes and PostgreSQL, as somebody who has many nodes puts one there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from clustercore.embedded.domain.endpoints import Endpoints
from tests import pooler
from tests.cast import LAPTOP, WORKSTATION
from tests.conftest import database_url_of
from tests.faults.cluster import Cluster
from tests.faults.conftest import DATABASE, Record
from tests.faults.recording import Recording

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(pooler.PROGRAM is None, reason=pooler.ABSENT),
]


@pytest.fixture
def pooled_nodes(cluster: Cluster, ledger: Endpoints) -> Iterator[list[str]]:
    """Two nodes that reach the ledger through one PgBouncer in transaction mode."""
    names = [WORKSTATION, LAPTOP]
    cluster.stop(*names)
    with pooler.running_pooler(ledger) as url:
        cluster.start(*names, DATABASE_URL=database_url_of(url, DATABASE))
        yield names
        cluster.stop(*names)


def test_nodes_behind_a_pooler_do_a_job_without_a_collision(
    cluster: Cluster,
    ledger: Endpoints,
    pooled_nodes: list[str],
    recordings: Callable[[str], Recording],
    record: Record,
) -> None:
    recording = recordings("pooled")
    cluster.sha_undisturbed(recording)
    before, since = pooler.collisions(ledger), time.time()
    job = cluster.submit(recording)
    cluster.until_done(job)
    seen = cluster.judge({job.pk: recording}, since)
    collided = pooler.collisions(ledger) - before
    record("pooler", **seen.as_json(), collisions=collided)
    seen.assert_unharmed()
    assert seen.units_executed_again == 0
    assert collided == 0
