"""Jobs end, whatever goes wrong: nothing is left out silently, and nothing waits for what cannot come."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.verdict import Crashed, Done, Fail, Hold
from clustercore.jobs.models import Unit
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.control import NotPossible, cancel_job, release_units, requeue_unit, retry_job
from clustercore.jobs.services.settle import settle, settle_or_retry
from tests.cast import LAPTOP, start_node
from tests.fakes.jobs.kinds import HELD
from tests.integration.jobs.conftest import with_parts
from tests.integration.jobs.test_settle import taken_by


def test_one_unit_of_a_cancelled_job_cannot_be_queued_alone() -> None:
    job, parts = with_parts(2)
    cancel_job(job.pk)
    with pytest.raises(NotPossible, match="clustercore retry"):
        requeue_unit(parts[0].pk)


def test_a_job_with_a_cancelled_unit_never_counts_as_done() -> None:
    node = start_node(LAPTOP)
    job, parts = with_parts(2)
    Unit.objects.filter(pk=parts[1].pk).update(state="cancelled", error="cancelled by a user")
    settle(taken_by(node).key, Done({}))
    job.refresh_from_db()
    assert job.state == "failed" and "cancelled" in job.error


def test_held_units_end_with_what_they_wait_for() -> None:
    node = start_node(LAPTOP)
    job, parts = with_parts(2)
    Unit.objects.filter(pk=parts[1].pk).update(state="held", hold_reason="waits for the first")
    settle(taken_by(node).key, Fail("the first cannot be done"))
    job.refresh_from_db()
    assert job.state == "failed" and "the first cannot be done" in job.error
    assert Unit.objects.get(pk=parts[1].pk).state == "cancelled"


def test_a_unit_that_is_held_after_another_has_failed_ends_with_the_job() -> None:
    node = start_node(LAPTOP)
    job, _ = with_parts(2)
    first, second = taken_by(node), taken_by(node)
    settle(first.key, Fail("the first cannot be done"))
    settle(second.key, Hold("waits for the first"))
    job.refresh_from_db()
    assert job.state == "failed"
    assert Unit.objects.get(pk=second.unit_id).state == "cancelled"


def test_held_units_keep_their_job_open() -> None:
    job, parts = with_parts(1)
    Unit.objects.filter(pk=parts[0].pk).update(state="held", hold_reason="waits for a person")
    assert advance(job.pk) == "running"


def test_a_job_tried_again_holds_what_must_wait() -> None:
    HELD.append("the language is being decided")
    job, parts = with_parts(1)
    assert Unit.objects.get(pk=parts[0].pk).state == "held"
    cancel_job(job.pk)
    retry_job(job.pk)
    assert Unit.objects.get(pk=parts[0].pk).state == "held"
    HELD.clear()
    assert release_units(job.pk, ["part"]) == 1
    assert Unit.objects.get(pk=parts[0].pk).state == "queued"


def test_a_result_that_cannot_be_stored_counts_as_a_failed_try() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    held = taken_by(node)
    settle_or_retry(held.key, Done({"unstorable": True}), {})
    unit = Unit.objects.get(pk=held.unit_id)
    assert (unit.state, unit.failures) == ("queued", 1)
    assert "cannot be stored" in unit.error


def test_a_crash_log_with_a_character_that_postgresql_refuses_is_still_a_strike() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    held = taken_by(node)
    settle(held.key, Crashed("killed by SIGSEGV\nlast words: \x00\x00"))
    assert Unit.objects.get(pk=held.unit_id).strikes == 1
