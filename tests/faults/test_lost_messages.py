"""Every message is lost, again and again: nodes find their work in the ledger, and go on with it at full speed."""

from __future__ import annotations

import time

import pytest
import redis
from django.db import transaction
from django.db.models import QuerySet

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.submit import submit
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.cluster import Cluster
from tests.faults.conftest import Record
from tests.faults.errands import ERRANDS, run_by
from tests.faults.waiting import until

pytestmark = pytest.mark.services

UNITS = 1000
EMPTIED = 5
SLOTS = 2


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process submits errands; the workers know them by `failpoints`."""
    monkeypatch.setitem(kinds._KINDS, "errands", ERRANDS)


def many_errands() -> Job:
    """A job with all its units, whose messages are sent."""
    with transaction.atomic():
        job, _ = submit(None, JobRequest(kind="errands", title="errands"), backlog_limit=2 * UNITS)
        Job.objects.select_for_update(no_key=True).get(pk=job.pk)
        queue_units(ERRANDS, job.pk, [NewUnit(stage="errand", ordinal=ordinal) for ordinal in range(1, UNITS)])
    return job


@pytest.mark.fault
def test_a_job_of_a_thousand_units_whose_messages_are_all_lost_again_and_again_is_done_each_unit_once(
    cluster: Cluster, record: Record
) -> None:
    cluster.start(WORKSTATION, LAPTOP, CLUSTERCORE_SLOTS=str(SLOTS))
    began = time.monotonic()
    with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as broker:
        job = many_errands()
        done = Unit.objects.filter(job=job, state="done")
        for emptied in range(EMPTIED):
            broker.flushall()
            _until_done(done, UNITS * (emptied + 1) // (EMPTIED + 1))
        broker.flushall()
        cluster.until_done(job, 60)
    seconds = time.monotonic() - began
    ran = run_by(cluster.strings)
    assert sorted(ordinal for ordinals in ran.values() for ordinal in ordinals) == list(range(UNITS))
    assert set(ran) == {WORKSTATION, LAPTOP}, "one node had to find all of it"
    assert Attempt.objects.filter(unit__job=job).count() == done.count() == UNITS
    record("messages-lost", lost=UNITS - done.count(), duplicated=0, emptied=EMPTIED + 1, seconds=round(seconds, 1))


def _until_done(done: QuerySet[Unit], least: int) -> None:
    until(lambda: done.count() >= least, 60, lambda: f"they do not go on: {done.count()} of {least} are done")
