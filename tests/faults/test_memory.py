"""A machine whose memory runs out under several pieces: one of them may be to blame, the others are not."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clustercore.jobs.adapters.in_hand import noted_in_hand
from clustercore.jobs.models import Attempt
from clustercore.jobs.services.lease_hook import IN_HAND
from tests.cast import LAPTOP
from tests.faults.cluster import Cluster, live_attempts, pieces_of
from tests.faults.conftest import Record
from tests.faults.memory import run_out_of_memory, why_no_limits
from tests.faults.puppet import GREED_BYTES
from tests.faults.recording import Recording
from tests.faults.waiting import until

pytestmark = [
    pytest.mark.services,
    pytest.mark.fault,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(why_no_limits()), reason=why_no_limits()),
]


def note_of(cluster: Cluster) -> Path:
    return cluster.data_directory / "work" / f"node-{LAPTOP}" / IN_HAND


def test_a_worker_that_died_for_want_of_memory_is_held_against_the_piece_that_used_it(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """Worker and runners die in the same moment, as in a control group that is killed: they are frozen before."""
    recording = recordings("short")
    (laptop,) = cluster.start(LAPTOP, CLUSTERCORE_SLOTS="2")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="120.0", greedy=recording.words[0])
    since = time.time()
    job = cluster.submit(recording)
    until(lambda: len(live_attempts(job, LAPTOP)) == 2, 60, "the node has not two pieces in hand")
    greedy, modest = sorted(live_attempts(job, LAPTOP), key=lambda attempt: attempt.unit.ordinal)

    def sizes_are_noted() -> bool:
        noted = noted_in_hand(note_of(cluster))
        sizes = noted.resident_mb if noted else {}
        return 0 < sizes.get(modest.key, 0) < sizes.get(greedy.key, 0) - (GREED_BYTES >> 21)

    until(sizes_are_noted, 60, "the node did not note how much memory its hosts use")
    laptop.signal_tree(signal.SIGSTOP)
    run_out_of_memory()
    laptop.kill_tree()
    cluster.stop(LAPTOP)
    cluster.pull(seconds="0.1", greedy="")
    cluster.start(LAPTOP, CLUSTERCORE_SLOTS="2")
    cluster.until_done(job, 120)
    outcomes = [Attempt.objects.get(pk=attempt.pk).outcome for attempt in (greedy, modest)]
    assert outcomes == ["crashed", "handed_back"]
    assert list(pieces_of(job).values_list("strikes", flat=True)) == [1] + [0] * (pieces_of(job).count() - 1)
    seen = cluster.judge({job.pk: recording}, since)
    record("memory", **seen.as_json(), suspected=1, handed_back=1)
    seen.assert_unharmed()
