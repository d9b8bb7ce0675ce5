"""The sums over what was done: kept by the database, whoever ends an attempt, and in nobody's way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from clustercore.jobs.domain.counters import UNIT_BUCKETS, bucket_of
from clustercore.jobs.domain.verdict import Done, Fail
from clustercore.jobs.models import Attempt, Counter, Job, WorkDone
from clustercore.jobs.selectors.totals import EngineUnits, units_by_engine
from clustercore.jobs.services.claim import Claimant, claim
from clustercore.jobs.services.control import cancel_job, remove_job
from clustercore.jobs.services.settle import settle
from tests.integration.jobs.conftest import held_open, taken, with_parts

AROUND = [at for bound in UNIT_BUCKETS for at in (math.nextafter(bound, 0), bound, math.nextafter(bound, math.inf))]


def done_in(node: Claimant, seconds: Iterable[float], **more: Any) -> Job:
    """A job with a part for each of these times, all done."""
    wanted = list(seconds)
    job, _ = with_parts(len(wanted))
    for one in wanted:
        served = {"engine": "vosk", "seconds": one, "audio_seconds": 2.5, **more}
        settle(taken(node).key, Done({}), served_by=served)
    return job


def by_bucket() -> dict[int, int]:
    return {row.bucket: row.units for row in units_by_engine()}


def test_the_database_and_the_program_agree_on_the_bucket_at_and_around_every_bound(node: Claimant) -> None:
    done_in(node, [0.0, *AROUND, 1e8])
    expected: dict[int, int] = {}
    for seconds in (0.0, *AROUND, 1e8):
        bucket = bucket_of(seconds, UNIT_BUCKETS)
        expected[bucket] = expected.get(bucket, 0) + 1
    assert by_bucket() == expected
    assert expected.keys() == set(range(len(UNIT_BUCKETS) + 1))


def test_a_row_holds_the_sum_of_many_units(node: Claimant) -> None:
    done_in(node, [1.25, 1.5, 2.001])
    assert units_by_engine() == [
        EngineUnits(kind="sums", engine="vosk", bucket=2, units=3, seconds=4.751, audio_seconds=7.5)
    ]
    assert WorkDone.objects.count() == 1


def test_what_was_not_done_or_names_no_engine_or_time_is_not_counted(node: Claimant) -> None:
    with_parts(3)
    settle(taken(node).key, Fail("nobody speaks"), served_by={"engine": "vosk", "seconds": 1.0})
    settle(taken(node).key, Done({}), served_by={"seconds": 1.0})
    settle(taken(node).key, Done({}), served_by={"engine": "vosk"})
    assert units_by_engine() == []


@pytest.mark.parametrize(
    ("served", "counted"),
    [
        ({"engine": "vosk", "seconds": "soon"}, 0),
        ({"engine": None, "seconds": 1.0}, 0),
        ({"engine": "e" * 5000, "seconds": 1.0}, 1),
        ({"engine": "vosk", "seconds": 1e300, "audio_seconds": -1e300}, 1),
        ({"engine": "vosk", "seconds": -1, "audio_seconds": "much"}, 1),
        ({"engine": "vosk", "seconds": 10**400}, 1),
    ],
    ids=["words", "nobody", "long-name", "huge", "negative", "beyond-floats"],
)
def test_whatever_an_engine_says_of_itself_its_result_counts(
    node: Claimant, served: dict[str, Any], counted: int
) -> None:
    with_parts(1)
    found = taken(node)
    settle(found.key, Done({}), served_by=served)
    assert Attempt.objects.get(key=found.key).outcome == "done"
    assert sum(row.units for row in units_by_engine()) == counted


def test_the_migration_counts_what_the_ledger_holds_as_if_it_had_been_counted_one_by_one(node: Claimant) -> None:
    kept = done_in(node, [0.0, *AROUND])
    done_in(node, [3.0, 700.0], engine="faster-whisper", audio_seconds="unknown")
    one_by_one = sorted(units_by_engine(), key=repr)
    WorkDone.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(import_module("clustercore.jobs.migrations.0018_history").COUNT)
    assert sorted(units_by_engine(), key=repr) == one_by_one
    assert kept.units.count() > 0


def test_the_migration_takes_over_what_removed_jobs_had_done() -> None:
    of_removed = {"2": 7, "11": 1, "ms": 2_011_500, "sound_ms": 90_000}
    Counter.objects.bulk_create(
        Counter(name=f"units.removed/sums/vosk/{part}", value=of_removed[part]) for part in of_removed
    )
    with connection.cursor() as cursor:
        cursor.execute(import_module("clustercore.jobs.migrations.0018_history").COUNT)
    found = units_by_engine()
    assert {row.bucket: row.units for row in found if row.units} == {2: 7, 11: 1}
    assert (sum(row.seconds for row in found), sum(row.audio_seconds for row in found)) == (2011.5, 90.0)
    assert not Counter.objects.filter(name__startswith="units.removed").exists()


def test_a_removed_job_leaves_what_it_did(node: Claimant) -> None:
    job = done_in(node, [1.0, 20.0])
    before = by_bucket()
    cancel_job(job.pk)
    remove_job(job.pk)
    assert not Attempt.objects.exists()
    assert by_bucket() == before


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_lasts_keeps_no_other_result_waiting(node: Claimant) -> None:
    served = {"engine": "vosk", "seconds": 1.0}
    keys = []
    for _ in range(3):
        with_parts(1)
        keys.append(taken(node).key)
    settle(keys[0], Done({}), served_by=served)
    with held_open(lambda: settle(keys[1], Done({}), served_by=served)):
        settle(keys[2], Done({}), served_by=served)
        assert by_bucket() == {1: 2}
    assert by_bucket() == {1: 3}
    assert WorkDone.objects.count() == 2
    assert claim(node) is not None
