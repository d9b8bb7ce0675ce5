"""What a sweep does for jobs that nobody moves, and does not do for those that wait for a person."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.sweep import finish_forgotten_jobs
from tests.integration.jobs.conftest import with_parts

pytestmark = pytest.mark.services


def test_a_job_of_which_nothing_is_open_is_moved_on() -> None:
    job, _ = with_parts(1)
    Unit.objects.filter(job=job).exclude(stage="total").update(state="done")
    finish_forgotten_jobs()
    assert list(Unit.objects.filter(job=job, stage="total").values_list("state", flat=True)) == ["queued"]


def test_jobs_that_are_held_cost_a_sweep_nothing() -> None:
    for _ in range(3):
        with_parts(1)
    Unit.objects.exclude(state="done").update(state="held", hold_reason="a person is asked")
    with CaptureQueriesContext(connection) as queries:
        finish_forgotten_jobs()
    assert len(queries) == 1
    assert set(Job.objects.values_list("state", flat=True)) == {"running"}
