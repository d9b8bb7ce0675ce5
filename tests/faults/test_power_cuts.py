"""A machine whose power goes: it vanished, and nothing that it worked on crashed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from clustercore.jobs.models import Attempt
from clustercore.nodes.selectors import live_nodes
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.cluster import LEASE_SECONDS, Cluster, attempts_at
from tests.faults.conftest import Record
from tests.faults.power import after_a_start, why_no_power_cuts
from tests.faults.recording import Recording
from tests.faults.waiting import until

pytestmark = [
    pytest.mark.services,
    pytest.mark.fault,
    pytest.mark.skipif(bool(why_no_power_cuts()), reason=why_no_power_cuts()),
]

CUTS = 4
"""One more than the strikes that make a piece dead."""


def test_power_cuts_of_the_only_machine_are_no_strikes(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    cluster.stop(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.start(LAPTOP, prefix=after_a_start(cluster.directory))
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="20.0")
    since = time.time()
    job = cluster.submit(recording)
    cut_at = []
    for _ in range(CUTS):
        held = cluster.until_in_hand(job, LAPTOP, 60)
        cut_at.append(time.time())
        cluster.workers[LAPTOP].kill_tree()
        cluster.stop(LAPTOP)
        # No machine starts within two heartbeats, and until then its name is taken.
        until(lambda: not live_nodes().filter(name=LAPTOP).exists(), 3 * LEASE_SECONDS, "it is still heard of")
        cluster.start(LAPTOP, prefix=after_a_start(cluster.directory))
        until(
            lambda held=held: Attempt.objects.get(pk=held.pk).outcome == "expired",  # type: ignore[misc]
            3 * LEASE_SECONDS,
            "the lease of the machine that lost its power did not run out",
        )
        assert attempts_at(held.unit)[-1].unit.strikes == 0
    cluster.pull(seconds="0.1")
    cluster.until_done(job, 90)
    cluster.stop(LAPTOP)
    seen = cluster.judge({job.pk: recording}, since, cut_at)
    record("power-cuts", **seen.as_json(), power_cuts=CUTS)
    seen.assert_unharmed()
