"""Any number of units is queued in one statement, in order, and what is known is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from clustercore.blobs import services as blobs
from clustercore.blobs.domain.errors import BlobGone
from clustercore.config.environment import environment
from clustercore.jobs.domain.kinds import JobKind, QueuedUnit
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.models import Job, JobBlob, Unit
from clustercore.jobs.services.queueing import queue_units
from tests.fakes.jobs.kinds import HELD, QUEUED, RUNG, SUMS
from tests.integration.jobs.conftest import submitted

pytestmark = pytest.mark.django_db


def parts(ordinals: Sequence[int], blobs: Sequence[str] = ()) -> list[NewUnit]:
    return [
        NewUnit(stage="part", ordinal=ordinal, payload={"n": ordinal}, blobs=[*blobs[at : at + 1]])
        for at, ordinal in enumerate(ordinals)
    ]


def ordinals_of(unit_ids: Sequence[int]) -> list[int]:
    known = Unit.objects.in_bulk(unit_ids)
    return [known[unit_id].ordinal for unit_id in unit_ids]


def statements(job: Job, units: Sequence[NewUnit]) -> int:
    """How many statements it takes to queue the units."""
    with CaptureQueriesContext(connection) as queries:
        queue_units(SUMS, job.pk, units)
    return len(queries)


@pytest.fixture
def stored(tmp_path: Path) -> list[str]:
    """Three blobs."""
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    found = []
    for number in range(3):
        (tmp_path / "part").write_bytes(f"{tmp_path} {number}".encode())
        found.append(blobs.store_file(tmp_path / "part"))
    return found


def test_ids_come_and_grow_in_the_order_in_which_the_units_are_given() -> None:
    ids = queue_units(SUMS, submitted().pk, parts([5, 1, 9, 0]))
    assert ordinals_of(ids) == [5, 1, 9, 0]
    assert ids == sorted(ids)


def test_a_unit_of_each_stage_keeps_its_place_among_those_of_others() -> None:
    job = submitted()
    mixed = [*parts([0]), NewUnit(stage="total", ordinal=1), *parts([1])]
    ids = queue_units(SUMS, job.pk, mixed)
    assert [Unit.objects.get(pk=unit_id).stage for unit_id in ids] == ["part", "total", "part"]


def test_what_a_payload_holds_that_cannot_be_stored_is_left_out_or_refused() -> None:
    job = submitted()
    [unit_id] = queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=0, payload={"text": "a\x00b"})])
    assert Unit.objects.get(pk=unit_id).payload == {"text": "ab"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=1, payload={"share": float("nan")})])


def test_a_unit_has_what_was_asked_for_and_else_what_its_stage_says() -> None:
    asked = NewUnit(stage="part", ordinal=3, payload={"text": 'Grüße \\ %s "{}"'}, weight=2.5, capability="translate")
    ids = queue_units(
        SUMS, submitted().pk, [asked, NewUnit(stage="part", ordinal=4), NewUnit(stage="total", ordinal=1)]
    )
    first, second, third = (Unit.objects.get(pk=unit_id) for unit_id in ids)
    assert (first.payload, first.weight, first.capability) == (dict(asked.payload), 2.5, "translate")
    assert (second.payload, second.weight, second.capability, second.ranked) == ({}, 1.0, "stt", True)
    assert (third.capability, third.ranked, third.state, third.hold_reason) == ("media", False, "queued", "")
    assert (third.attempts_made, third.failures, third.strikes, third.excluded_nodes) == (0, 0, 0, [])
    assert (third.progress, third.error, third.result, third.finished) == (0.0, "", None, None)


def test_known_units_among_new_ones_are_left_alone() -> None:
    job = submitted()
    [known] = queue_units(SUMS, job.pk, parts([1]))
    Unit.objects.filter(pk=known).update(state="done", payload={"n": "as it was"})
    QUEUED.clear()
    ids = queue_units(SUMS, job.pk, parts([0, 1, 2]))
    assert ordinals_of(ids) == [0, 2]
    unit = Unit.objects.get(pk=known)
    assert (unit.state, unit.payload) == ("done", {"n": "as it was"})
    assert [[unit.ordinal for unit in queued] for _, queued in QUEUED] == [[0, 2]]
    assert queue_units(SUMS, job.pk, parts([0, 1, 2])) == []
    assert len(QUEUED) == 1


def test_of_two_units_given_alike_in_one_call_the_first_is_queued() -> None:
    twice = [NewUnit(stage="part", ordinal=0, payload={"which": which}) for which in ("first", "second")]
    [unit_id] = queue_units(SUMS, submitted().pk, twice)
    assert Unit.objects.get(pk=unit_id).payload == {"which": "first"}
    assert [queued for _, queued in QUEUED] == [[QueuedUnit(unit_id, 0, {"which": "first"})]]


def test_nothing_to_queue_asks_the_ledger_nothing() -> None:
    assert statements(submitted(), []) == 0


def test_a_stage_that_holds_new_units_is_asked_once() -> None:
    asked: list[int] = []

    def held(job_id: int) -> str:
        asked.append(job_id)
        return "the numbers are not known yet"

    stages = tuple(replace(stage, held=held) if stage.name == "part" else stage for stage in SUMS.stages)
    job = submitted()
    ids = queue_units(replace(SUMS, stages=stages), job.pk, parts(range(5)))
    assert asked == [job.pk]
    assert set(Unit.objects.filter(pk__in=ids).values_list("state", "hold_reason")) == {
        ("held", "the numbers are not known yet")
    }


def test_what_is_held_and_what_is_not_may_come_in_one_call() -> None:
    HELD.append("wait")
    part, total = queue_units(SUMS, submitted().pk, [*parts([0]), NewUnit(stage="total", ordinal=1)])
    assert (Unit.objects.get(pk=part).state, Unit.objects.get(pk=total).state) == ("held", "queued")


def test_a_stage_is_told_of_all_its_new_units_at_once() -> None:
    job = submitted()
    ids = queue_units(SUMS, job.pk, parts([2, 0]))
    assert [(job.pk, [QueuedUnit(ids[0], 2, {"n": 2}), QueuedUnit(ids[1], 0, {"n": 0})])] == QUEUED


def test_what_new_units_refer_to_is_written_before_their_stage_is_told(stored: list[str]) -> None:
    seen: list[set[str]] = []

    def look(job_id: int, queued: Sequence[QueuedUnit]) -> None:
        seen.append(set(JobBlob.objects.filter(job=job_id).values_list("sha256", flat=True)))

    stages = tuple(replace(stage, queued=look) if stage.name == "part" else stage for stage in SUMS.stages)
    queue_units(replace(SUMS, stages=stages), submitted().pk, parts(range(3), stored))
    assert seen == [set(stored)]


def test_each_unit_refers_to_its_own_blobs_and_a_known_one_to_no_more(stored: list[str]) -> None:
    job = submitted()
    queue_units(SUMS, job.pk, parts([1]))
    first, last = queue_units(SUMS, job.pk, parts([0, 1, 2], stored))
    references = set(JobBlob.objects.filter(job=job).values_list("unit", "sha256"))
    assert references == {(first, stored[0]), (last, stored[2])}


def test_no_unit_of_a_call_is_queued_when_the_blob_of_one_is_gone(stored: list[str]) -> None:
    job = submitted()
    with pytest.raises(BlobGone, match="1 of 3"), transaction.atomic():
        queue_units(SUMS, job.pk, parts(range(3), [*stored[:2], "0" * 64]))
    assert not Unit.objects.filter(job=job, stage="part").exists()


def test_many_units_take_no_more_statements_than_two(stored: list[str]) -> None:
    job = submitted()
    few = statements(job, parts(range(2), stored))
    many = statements(job, parts(range(2, 402), stored * 134))
    assert many == few <= 5


@pytest.mark.django_db(transaction=True)
def test_bells_are_rung_once_a_stage_and_after_the_commit() -> None:
    job = submitted()
    RUNG.clear()
    with transaction.atomic():
        first, total, second = queue_units(SUMS, job.pk, [*parts([0]), NewUnit(stage="total", ordinal=1), *parts([1])])
        assert RUNG == []
    assert [("part", [first, second]), ("total", [total])] == RUNG


@pytest.mark.django_db(transaction=True)
def test_of_two_who_queue_the_same_units_at_once_each_unit_is_new_to_one(sums: JobKind) -> None:
    job = submitted()
    start = Barrier(2)

    def queue(ordinals: Sequence[int]) -> list[int]:
        try:
            with transaction.atomic():
                start.wait(10)
                Job.objects.select_for_update(no_key=True).get(pk=job.pk)
                return queue_units(sums, job.pk, parts(ordinals))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(queue, [range(200), range(199, -1, -1)])
    assert sorted(map(len, (one, other))) == [0, 200]
    assert Unit.objects.filter(job=job, stage="part").count() == 200
