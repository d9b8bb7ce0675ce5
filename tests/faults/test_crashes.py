"""Processes that die in the middle of a piece."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from clustercore.nodes.selectors import live_nodes
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.cluster import (
    GRACE_SECONDS,
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    RESUMED_SECONDS,
    Cluster,
    attempts_at,
    counter,
    pieces_of,
)
from tests.faults.conftest import Record
from tests.faults.recording import Recording
from tests.faults.waiting import until
from tests.faults.workers import ROOT

pytestmark = pytest.mark.services


def test_a_killed_engine_host_costs_one_piece_and_one_strike(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F1."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="1.5")
    since = time.time()
    job = cluster.submit(recording)
    held = cluster.until_in_hand(job, WORKSTATION)
    killed_at = time.time()
    cluster.executing(held).send_signal(signal.SIGKILL)
    until(lambda: len(attempts_at(held.unit)) == 2, RESUMED_SECONDS, "nobody took the piece again")
    cluster.pull(seconds="0.2")
    cluster.until_done(job)
    first, *_ = attempts_at(held.unit)
    held.unit.refresh_from_db()
    assert (first.outcome, first.reason.splitlines()[0], held.unit.strikes) == ("crashed", "killed by SIGKILL", 1)
    seen = cluster.judge({job.pk: recording}, since, [killed_at])
    record("F1", **seen.as_json(), strike_reason=first.reason.splitlines()[0])
    seen.assert_unharmed()
    assert seen.units_executed_again <= 1
    assert seen.recovery_p95_s is not None and seen.recovery_p95_s <= RESUMED_SECONDS


def test_a_node_that_is_killed_with_its_hosts_loses_nothing(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F2: forty pieces, one of two nodes killed in the middle of one."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.25", seconds__workstation="1.5")
    since = time.time()
    job = cluster.submit(recording)
    held = cluster.until_in_hand(job, WORKSTATION)
    killed_at = time.time()
    cluster.workers[WORKSTATION].kill_tree()
    allowed = 2 * HEARTBEAT_SECONDS + 2.0
    until(lambda: not live_nodes().filter(name=WORKSTATION).exists(), allowed, "the dead node still counts as live")
    offline_after = time.time() - killed_at
    until(lambda: len(attempts_at(held.unit)) == 2, RESUMED_SECONDS, "nobody took the piece again")
    cluster.until_done(job)
    first, second = attempts_at(held.unit)
    assert (first.outcome, second.node_name) == ("expired", LAPTOP)
    seen = cluster.judge({job.pk: recording}, since, [killed_at])
    record("F2", **seen.as_json(), offline_after_s=round(offline_after, 2), pieces=pieces_of(job).count())
    seen.assert_unharmed()
    assert pieces_of(job).count() >= 40
    assert seen.units_executed_again <= 1
    assert (second.started.timestamp() - killed_at) <= RESUMED_SECONDS


@pytest.mark.fault
def test_with_the_default_settings_another_node_holds_the_piece_within_half_a_minute(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F2 as users have it: heartbeat 5 s, lease 20 s."""
    cluster.stop(WORKSTATION, LAPTOP)
    defaults = {"CLUSTERCORE_HEARTBEAT_SECONDS": "5", "CLUSTERCORE_LEASE_SECONDS": "20"}
    cluster.start(WORKSTATION, LAPTOP, **defaults)
    recording = recordings("long")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.5", seconds__workstation="4.0")
    since = time.time()
    job = cluster.submit(recording)
    held = cluster.until_in_hand(job, WORKSTATION)
    killed_at = time.time()
    cluster.workers[WORKSTATION].kill_tree()
    until(lambda: len(attempts_at(held.unit)) == 2, 30, "nobody took the piece again")
    cluster.until_done(job)
    cluster.stop(LAPTOP)
    second = attempts_at(held.unit)[1]
    seen = cluster.judge({job.pk: recording}, since, [killed_at])
    record("F2-default", **seen.as_json() | {"configuration": "heartbeat 5 s, lease 20 s (the defaults)"})
    seen.assert_unharmed()
    assert second.started.timestamp() - killed_at <= 30


def test_a_node_that_was_frozen_writes_too_late_and_changes_nothing(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F3: the zombie's result is fenced, the second attempt's counts."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.1", seconds__workstation="1.0")
    since, fenced_before = time.time(), counter("results.fenced")
    job = cluster.submit(recording)
    held = cluster.until_in_hand(job, WORKSTATION)
    zombie, host = cluster.workers[WORKSTATION], cluster.executing(held)
    frozen_at = time.time()
    zombie.signal_tree(signal.SIGSTOP)
    cluster.until_done(job)
    until(lambda: time.time() - frozen_at > 2 * LEASE_SECONDS, 30, "the clock stands")
    # The host first, so that its answer waits in the pipe when the worker comes to itself.
    host.send_signal(signal.SIGCONT)
    until(lambda: cluster.has_finished(held), 10, "the thawed host did not finish")
    zombie.signal(signal.SIGCONT)
    until(lambda: attempts_at(held.unit)[0].fenced_results == 1, 10, "no late result was counted")
    first, second = attempts_at(held.unit)
    assert (first.outcome, second.outcome, second.node_name) == ("expired", "done", LAPTOP)
    assert counter("results.fenced") == fenced_before + 1
    seen = cluster.judge({job.pk: recording}, since, [frozen_at])
    record("F3", **seen.as_json(), fenced=counter("results.fenced") - fenced_before)
    seen.assert_unharmed()
    zombie.until_taking_work()


FROZEN = """
import os
import signal
import sys
import django
django.setup()
from django.db import transaction
from clustercore.jobs.models import Job
with transaction.atomic():
    Job.objects.select_for_update(no_key=True).get(pk=sys.argv[1])
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.fault
def test_a_process_that_is_frozen_in_a_transaction_does_not_hold_its_job_for_ever(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F3, at the worst moment: it holds the lock of the job's row."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="1.0")
    since = time.time()
    job = cluster.submit(recording)
    cluster.until_in_hand(job, WORKSTATION)
    environment = cluster.worker_environment("frozen", {})
    with subprocess.Popen([sys.executable, "-c", FROZEN, str(job.pk)], env=environment, cwd=ROOT) as frozen:
        until(lambda: psutil.Process(frozen.pid).status() == psutil.STATUS_STOPPED, 30, "it did not freeze")
        frozen_at = time.time()
        try:
            cluster.until_done(job, 60)
        finally:
            frozen.kill()
    seen = cluster.judge({job.pk: recording}, since)
    record("F3-transaction", **seen.as_json(), done_after_s=round(time.time() - frozen_at, 2))
    seen.assert_unharmed()


def test_a_stopping_node_hands_its_piece_over_at_once(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """SIGTERM with a piece in hand that does not end within the grace."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="0.1", seconds__workstation="60")
    since = time.time()
    job = cluster.submit(recording)
    held = cluster.until_in_hand(job, WORKSTATION)
    asked_at = time.time()
    cluster.workers[WORKSTATION].signal(signal.SIGTERM)
    assert cluster.workers[WORKSTATION].process.wait(GRACE_SECONDS + 15.0) == 0
    stopped_after = time.time() - asked_at
    until(lambda: len(attempts_at(held.unit)) == 2, 15.0, "nobody took the piece")
    cluster.until_done(job)
    first, second = attempts_at(held.unit)
    held.unit.refresh_from_db()
    assert (first.outcome, second.node_name, held.unit.strikes) == ("handed_back", LAPTOP, 0)
    seen = cluster.judge({job.pk: recording}, since)
    record("SIGTERM", **seen.as_json(), stopped_after_s=round(stopped_after, 2))
    seen.assert_unharmed()


def test_a_node_that_dies_before_it_sends_the_canvas_leaves_a_job_that_finishes(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """Killed when the ledger knows that the canvas brings the merge, and it is not sent."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(**{"die-before-ringing": "transcription.merge"})
    since = time.time()
    job = cluster.submit(recording)
    workers = [cluster.workers[name] for name in (WORKSTATION, LAPTOP)]
    until(lambda: not all(worker.running for worker in workers), 60, "nobody died before the merge")
    died_at = time.time()
    assert [worker.process.poll() for worker in workers].count(-signal.SIGKILL) == 1
    cluster.until_done(job)
    seen = cluster.judge({job.pk: recording}, since)
    record("before-merge", **seen.as_json(), finished_after_s=round(time.time() - died_at, 2))
    seen.assert_unharmed()
    assert seen.units_executed_again == 0
