"""What a fault test finds: the nodes that it asked for, and no job but its own."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from clustercore.jobs.models import Job
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, PI, WORKSTATION, start_node, stop_node
from tests.faults.cluster import Cluster
from tests.faults.recording import Recording

pytestmark = pytest.mark.services
EARLIER = "tests/faults/test_earlier.py::test_that_went_before"


def next_test(cluster: Cluster) -> None:
    """What stands between two tests."""
    cluster.end(EARLIER)
    cluster.begin()


def at_work(cluster: Cluster) -> set[str]:
    return {name for name, worker in cluster.workers.items() if worker.running}


def test_a_node_of_an_earlier_test_serves_the_next_if_it_is_asked_for_and_is_ended_if_not(cluster: Cluster) -> None:
    first, _ = cluster.start(LAPTOP, WORKSTATION)
    next_test(cluster)

    [again] = cluster.start(LAPTOP)
    cluster.start(PI)

    assert again is first
    assert at_work(cluster) == {LAPTOP, PI}


def test_a_node_that_runs_with_other_settings_is_not_taken_for_the_one_that_was_asked_for(cluster: Cluster) -> None:
    [usual] = cluster.start(LAPTOP)

    [broad] = cluster.start(LAPTOP, CLUSTERCORE_SLOTS="2")

    assert broad.process.pid != usual.process.pid
    assert not usual.running
    assert broad.node().slots == 2


def test_what_a_test_left_frozen_or_open_is_ended_with_it(
    cluster: Cluster, recordings: Callable[[str], Recording]
) -> None:
    cluster.start(LAPTOP, WORKSTATION)
    cluster.workers[WORKSTATION].signal(signal.SIGSTOP)
    next_test(cluster)
    assert at_work(cluster) == {LAPTOP}

    cluster.pull(seconds="600")
    job = cluster.submit(recordings("single"))
    cluster.until_in_hand(job, LAPTOP)
    next_test(cluster)

    assert at_work(cluster) == set()
    assert Job.objects.get(pk=job.pk).state == "cancelled"
    assert not Node.objects.filter(online=True).exists()


def test_a_node_that_nobody_started_stops_the_next_test_and_the_test_before_is_named(cluster: Cluster) -> None:
    cluster.end(EARLIER)
    foreign = start_node(PI)

    with pytest.raises(AssertionError, match=rf"\['pi'\].*{EARLIER}"):
        cluster.begin()

    stop_node(foreign)
