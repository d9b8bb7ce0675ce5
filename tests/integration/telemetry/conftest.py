"""A kind of job that only tests know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clustercore.jobs.domain import kinds
from tests.fakes.jobs import kinds as fake_kinds


@pytest.fixture(autouse=True)
def sums(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[kinds.JobKind]:
    monkeypatch.setitem(kinds._KINDS, "sums", fake_kinds.SUMS)
    fake_kinds.HELD.clear()
    yield fake_kinds.SUMS
