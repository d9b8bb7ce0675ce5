"""In which bucket a duration is counted."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.counters import JOB_BUCKETS, bucket_of, counter_name


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (1.0, 0), (1.1, 1), (43_200.0, len(JOB_BUCKETS) - 1), (43_201.0, len(JOB_BUCKETS))],
)
def test_a_bound_belongs_to_the_bucket_below_it(seconds: float, bucket: int) -> None:
    assert bucket_of(seconds, JOB_BUCKETS) == bucket


def test_the_parts_of_a_name_can_be_told_apart() -> None:
    assert counter_name("jobs.finished", "transcription", "done").split("/") == [
        "jobs.finished",
        "transcription",
        "done",
    ]
