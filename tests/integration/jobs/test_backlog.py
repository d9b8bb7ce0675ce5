"""How much may wait before a submission is refused, and what asking for it costs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.models import Unit
from clustercore.jobs.selectors import backlog
from clustercore.jobs.selectors.backlog import LARGE, units_waiting
from clustercore.jobs.selectors.remembered import Remembered
from tests.integration.jobs.conftest import with_parts


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "_REMEMBERED", Remembered(backlog._count))


@pytest.mark.parametrize(("limit", "counted"), [(LARGE, 1), (LARGE - 1, 3)])
def test_what_waits_is_counted_every_few_seconds_for_a_large_limit_and_each_time_for_a_small_one(
    limit: int, counted: int
) -> None:
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            units_waiting(limit)
    assert len(queries) == counted


def test_what_is_over_or_waits_for_other_units_is_no_backlog() -> None:
    _, (done, _, held) = with_parts(3)
    Unit.objects.filter(pk=done.pk).update(state="done")
    Unit.objects.filter(pk=held.pk).update(state="held")
    assert units_waiting(1) == units_waiting(LARGE) == 2
