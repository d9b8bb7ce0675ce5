"""What jobs need stays, and nothing else: references are written with the units and go with the job."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from django.db import transaction
from django.db.models.functions import Now

from clustercore.blobs import services as blobs
from clustercore.blobs.domain.errors import BlobGone, BlobMissing
from clustercore.blobs.models import Blob
from clustercore.config.environment import environment
from clustercore.jobs.adapters.attempts_in_flight import Holding
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UndeclaredBlob
from clustercore.jobs.domain.verdict import Done, Fail, Remake
from clustercore.jobs.domain.waiting import BLOB_MISSING
from clustercore.jobs.models import Job, JobBlob, Unit
from clustercore.jobs.services.control import cancel_job, remove_job, retry_job
from clustercore.jobs.services.execution import Execution
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.references import collect_unreferenced
from clustercore.jobs.services.settle import FAILURES_UNTIL_FAILED, settle
from clustercore.nodes.domain.hooks import Agent
from tests.cast import LAPTOP, start_node
from tests.fakes.jobs.kinds import SUMS
from tests.integration.jobs.conftest import submitted, with_parts
from tests.integration.jobs.test_settle import make_due, taken_by, unit_of


@pytest.fixture(autouse=True)
def hub(transactional_db: None) -> None:
    """This process is on the hub's machine."""
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """A blob that was stored long ago."""
    path = tmp_path / "numbers"
    path.write_bytes(str(tmp_path).encode())
    sha256 = blobs.store_file(path)
    make_old(sha256)
    return sha256


def make_old(sha256: str) -> None:
    Blob.objects.filter(pk=sha256).update(stamped=Now() - timedelta(days=1))


def is_stored(sha256: str) -> bool:
    try:
        return blobs.local_path(sha256).exists()
    except BlobMissing:
        return False


def cancelled(**wishes: object) -> Job:
    """A job that may be removed."""
    job = submitted(**wishes)
    return cancel_job(job.pk)


def test_what_a_removed_job_needed_is_deleted_at_once(stored: str) -> None:
    remove_job(cancelled(blobs=[stored]).pk)
    assert not is_stored(stored)
    assert not JobBlob.objects.exists()


def test_what_another_job_needs_too_stays_until_that_one_is_removed(stored: str) -> None:
    first, second = cancelled(blobs=[stored]), cancelled(blobs=[stored])
    remove_job(first.pk)
    collect_unreferenced()
    assert is_stored(stored)
    remove_job(second.pk)
    assert not is_stored(stored)


def test_what_was_stored_once_more_for_a_job_to_come_outlives_the_removal_of_the_old_one(
    stored: str, tmp_path: Path
) -> None:
    old = cancelled(blobs=[stored])
    blobs.store_file(tmp_path / "numbers")
    remove_job(old.pk)
    collect_unreferenced()
    new = submitted(blobs=[stored])
    make_old(stored)
    collect_unreferenced()
    assert is_stored(stored)
    remove_job(cancel_job(new.pk).pk)
    assert not is_stored(stored)


def test_what_nobody_ever_referred_to_goes_when_its_time_is_over(stored: str, tmp_path: Path) -> None:
    (tmp_path / "later").write_bytes(b"stored just now, to be referred to in a moment")
    later = blobs.store_file(tmp_path / "later")
    collect_unreferenced()
    assert (is_stored(stored), is_stored(later)) == (False, True)


def test_a_unit_that_needs_what_was_deleted_is_not_queued(stored: str) -> None:
    job = submitted()
    collect_unreferenced()
    with pytest.raises(BlobGone, match="store again"), transaction.atomic():
        queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=0, blobs=[stored])])
    assert not Unit.objects.filter(job=job, stage="part").exists()


def test_a_handler_can_fetch_only_what_its_unit_needs(stored: str, tmp_path: Path) -> None:
    submitted(blobs=[stored])
    claimed = taken_by(start_node(LAPTOP))
    holding = Holding(claimed.key, claimed.unit_id)
    context = Execution(claimed, holding, cast(Agent, SimpleNamespace()), tmp_path)
    assert context.fetch(stored) == blobs.local_path(stored)
    with pytest.raises(UndeclaredBlob, match="plan asks for"):
        context.fetch("0" * 64)


def test_a_part_whose_blob_is_missing_is_held_until_it_is_made_again(stored: str) -> None:
    node = start_node(LAPTOP)
    job = submitted(blobs=[stored])
    settle(taken_by(node).key, Done({}))
    Job.objects.filter(pk=job.pk).update(state="running")
    queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=0)])
    Unit.objects.filter(job=job, stage="total").delete()
    lost = taken_by(node)
    settle(lost.key, Remake("it is lost", "plan"))
    assert (unit_of(lost).state, unit_of(lost).hold_reason) == ("held", BLOB_MISSING)
    again = taken_by(node)
    assert (again.stage, again.ordinal, set(again.blobs)) == ("plan", 1, {stored})
    settle(again.key, Done({}))
    assert taken_by(node).unit_id == lost.unit_id


def test_a_blob_that_stays_missing_is_given_up_in_the_end() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(1)
    for _ in range(FAILURES_UNTIL_FAILED):
        make_due()
        settle(taken_by(node).key, Remake("it is lost", "plan"))
        if Unit.objects.filter(job=job, stage="plan", state="queued").exists():
            settle(taken_by(node).key, Done({}))
    job.refresh_from_db()
    assert job.state == "failed" and "given up after 8 tries: it is lost" in job.error


def test_a_job_whose_missing_blob_cannot_be_made_again_fails_with_the_reason_and_can_be_tried_again() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(1)
    settle(taken_by(node).key, Remake("it is lost", "plan"))
    settle(taken_by(node).key, Fail("what it is made from is lost too"))
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "what it is made from is lost too")
    retry_job(job.pk)
    assert set(Unit.objects.filter(job=job, state="queued").values_list("stage", flat=True)) == {"plan", "part"}
