"""Celery's results, which a canvas counts by: they are hints, and no slot waits for them for long."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import pytest
import redis
from celery.exceptions import BackendStoreError

from clustercore.project.celery import app

pytestmark = pytest.mark.services


@contextmanager
def without_memory(client: redis.Redis) -> Iterator[None]:
    """Redis answers everybody and lets nobody write."""
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_a_redis_without_memory_holds_no_slot_that_ends_a_place(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = cast(Any, app.backend)
    tries: list[float] = []
    monkeypatch.setattr(backend, "_sleep", tries.append)

    def end_place() -> None:
        backend.store_result("a-place", {"done": 1}, "SUCCESS")

    with without_memory(redis_client), ThreadPoolExecutor(1) as slot:
        ended = slot.submit(end_place)
        try:
            with pytest.raises((BackendStoreError, redis.ResponseError)):
                ended.result(10)
        finally:
            monkeypatch.setattr(backend, "max_retries", 0)
    assert 0 < sum(tries) < 20
