"""A worker has a connection for each of its slots, however many it was started with."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection, connections

from clustercore.nodes.adapters import bootstep
from clustercore.nodes.adapters.bootstep import AgentStep
from clustercore.nodes.adapters.connection_pool import THREADS_BESIDE_SLOTS, make_room_for

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
SLOTS = 20


@pytest.fixture
def pool() -> Iterator[dict[str, Any]]:
    """The settings of this process's pool, which is made anew afterwards."""
    found: dict[str, Any] = connection.settings_dict["OPTIONS"]["pool"]
    usual = dict(found)
    found["timeout"] = 1
    yield found
    found.clear()
    found.update(usual)
    connection.close()
    cast(Any, connection).close_pool()


def test_all_slots_and_the_threads_beside_them_may_have_a_connection_at_once(pool: dict[str, Any]) -> None:
    make_room_for(SLOTS)
    everybody = SLOTS + THREADS_BESIDE_SLOTS
    has_one = Barrier(everybody)

    def ask() -> int:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            has_one.wait(20)
            return 1
        finally:
            connections.close_all()

    with ThreadPoolExecutor(everybody) as threads:
        assert [thread.result(30) for thread in [threads.submit(ask) for _ in range(everybody)]] == [1] * everybody


def test_a_pool_that_is_large_enough_stays_as_it_is(pool: dict[str, Any]) -> None:
    connection.ensure_connection()
    before = cast(Any, connection).pool
    make_room_for(1)
    assert cast(Any, connection).pool is before


def test_a_worker_makes_room_for_as_many_slots_as_it_was_started_with(
    pool: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(start=lambda: None)

    monkeypatch.setattr(bootstep, "NodeAgent", made)
    monkeypatch.setattr(bootstep, "Stopper", made)
    step = AgentStep.__new__(AgentStep)
    step.start(SimpleNamespace(concurrency=SLOTS))
    assert pool["max_size"] == SLOTS + THREADS_BESIDE_SLOTS
