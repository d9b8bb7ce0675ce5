"""A node on another machine: it reaches the hub by TCP and one port only, and its cable is pulled."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from clustercore.blobs.services import establish_hub
from clustercore.embedded.adapters.gateway import Address, public_urls, running_gateway, upstreams_of
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.selectors import resolve_endpoints
from clustercore.nodes.models import Node
from clustercore.project import web
from tests.cast import LAPTOP, PI
from tests.faults.cluster import LEASE_SECONDS, RESUMED_SECONDS, Cluster, attempts_at, counter, pieces_of
from tests.faults.conftest import Record
from tests.faults.namespaces import HUB_ADDRESS, Namespace, namespace, why_not
from tests.faults.recording import Recording
from tests.faults.waiting import until
from tests.web.hub import answers, process
from transcription.models import Segment

pytestmark = pytest.mark.services

JOINED_SECONDS = 60.0


@contextmanager
def web_process(cluster: Cluster) -> Iterator[Address]:
    """The hub's web process, which hands out blobs."""
    address = Address("127.0.0.1", free_loopback_port())
    with process(cluster, "web", web.command(host=address.host, port=address.port)):
        until(lambda: answers(f"http://{address.host}:{address.port}"), 60, "the web process does not answer")
        yield address


@pytest.fixture
def far(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace with the gateway at its other end; `cluster.far_settings` is what a node there is started with."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    endpoints = resolve_endpoints(
        cluster.data_directory, cluster.environment["DATABASE_URL"], cluster.environment["REDIS_URL"]
    )
    with (
        namespace() as place,
        web_process(cluster) as pages,
        running_gateway(HUB_ADDRESS, 0, upstreams_of(endpoints, pages)) as (host, port),
    ):
        establish_hub(cluster.data_directory, f"http://{pages.host}:{pages.port}")
        cluster.far_urls = public_urls(endpoints, host, port)
        yield place
        cluster.stop(PI)


def far_settings(cluster: Cluster) -> dict[str, str]:
    """Two URLs and an empty directory: nothing else joins a machine to the cluster."""
    database_url, redis_url = cluster.far_urls
    directory = cluster.directory / "far"
    directory.mkdir(exist_ok=True)
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "CLUSTERCORE_DATA_DIR": str(directory)}


def test_a_far_node_joins_a_running_job_by_two_urls_and_its_cable_may_be_pulled(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record, far: Namespace
) -> None:
    """F4: it takes pieces, fetches them through the same port, and vanishes in the middle of one."""
    cluster.start(LAPTOP)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="1.0")
    since = time.time()
    job = cluster.submit(recording)
    cluster.until_in_hand(job, LAPTOP)
    started_at = time.time()
    cluster.start(PI, prefix=far.prefix, **far_settings(cluster))
    assert {urlsplit(url).hostname for url in cluster.far_urls} == {HUB_ADDRESS}
    until(lambda: done_by(job.pk, PI) >= 2, JOINED_SECONDS, "the far node finished nothing")
    joined_after = time.time() - started_at
    assert any((cluster.directory / "far").rglob("*")), "it fetched no blob"
    held = cluster.until_in_hand(job, PI)
    pulled_at = time.time()
    far.link_down()
    cluster.workers[PI].kill_tree()
    until(lambda: len(attempts_at(held.unit)) == 2, RESUMED_SECONDS, "nobody took the piece again")
    cluster.pull(seconds="0.05")
    cluster.until_done(job)
    first, second = attempts_at(held.unit)
    assert (first.node_name, first.outcome, second.node_name) == (PI, "expired", LAPTOP)
    seen = cluster.judge({job.pk: recording}, since, [pulled_at])
    record("F4", **seen.as_json(), joined_after_s=round(joined_after, 2), pieces_by_the_far_node=done_by(job.pk, PI))
    seen.assert_unharmed()
    assert seen.units_executed_again <= 1
    held.unit.refresh_from_db()
    assert held.unit.strikes == 0


ASKS = """
import json, sys, time
import psycopg
from clustercore.embedded.domain.endpoints import database_settings
options = database_settings(sys.argv[1], 1)["OPTIONS"]
options.pop("pool")
with psycopg.connect(sys.argv[1], autocommit=True, **options) as connection:
    connection.execute("SELECT 1")
    print("connected", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    try:
        connection.execute("SELECT 2")
    except psycopg.OperationalError:
        print(time.monotonic() - began, flush=True)
"""


@pytest.mark.fault
def test_what_is_sent_after_the_cable_was_pulled_is_given_up_within_a_lease_and_not_when_it_is_in_again(
    cluster: Cluster, far: Namespace
) -> None:
    with subprocess.Popen(
        [*far.prefix, sys.executable, "-c", ASKS, cluster.far_urls[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as asking:
        assert asking.stdin is not None and asking.stdout is not None
        assert asking.stdout.readline() == "connected\n"
        far.link_down()
        try:
            asking.stdin.write("\n")
            asking.stdin.flush()
            answered, _, _ = select.select([asking.stdout], [], [], 25.0)
            assert answered
            assert 10.0 < float(asking.stdout.readline()) < 20.0
        finally:
            asking.kill()
            far.link_up()


def done_by(job_id: int, name: str) -> int:
    """How many pieces a node has delivered."""
    return len(set(Segment.objects.filter(recording__job=job_id, node_name=name).values_list("piece_id", flat=True)))


@pytest.mark.fault
@pytest.mark.timeout(420)
def test_a_holder_whose_cable_is_pulled_five_times_ends_done_and_not_dead(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record, far: Namespace
) -> None:
    """The only node, and each time longer than a lease: a lost link is no evidence against the piece."""
    cluster.stop(LAPTOP, "workstation")
    cluster.start(LAPTOP, CLUSTERCORE_ENGINES='["transcription.adapters.media:MediaCutter"]')
    cluster.start(PI, prefix=far.prefix, **far_settings(cluster))
    recording = recordings("single")
    since, fenced_before = time.time(), counter("results.fenced")
    # The node's test of its engine would take as long as the piece.
    until(lambda: Node.objects.get(name=PI).self_test.get("models"), 60, "the node did not test its engine")
    cluster.pull(seconds="600")
    job = cluster.submit(recording, piece_seconds=600.0)
    for time_pulled in range(1, 6):
        held = cluster.until_in_hand(job, PI, 60)
        assert held.number == time_pulled
        far.link_down()
        until(lambda: not pieces_of(job).filter(state="leased").exists(), 3 * LEASE_SECONDS, "the lease did not end")
        far.link_up()
        until(lambda: len(attempts_at(held.unit)) > time_pulled, 60, "the node did not come back")  # noqa: B023
    cluster.pull(seconds="0.1")
    cluster.until_done(job, 90)
    unit = pieces_of(job).get()
    outcomes = [attempt.outcome for attempt in attempts_at(unit)]
    cluster.pull(seconds="0.05")
    record(
        "five-links",
        outcomes=outcomes,
        strikes=unit.strikes,
        state=unit.state,
        seconds=round(time.time() - since, 1),
        fenced=counter("results.fenced") - fenced_before,
    )
    assert (unit.state, unit.strikes, outcomes) == ("done", 0, ["expired"] * 5 + ["done"])
    cluster.stop(LAPTOP)
