"""The addresses work for everybody who gets them."""

from __future__ import annotations

import pytest
import redis
from celery import Celery
from kombu import Connection

from clustercore.embedded.domain.endpoints import Endpoints, celery_url

pytestmark = pytest.mark.services


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_one_redis_url_serves_the_broker_the_results_and_plain_clients(
    services: Endpoints, redis_client: redis.Redis
) -> None:
    url = celery_url(services.redis_url)
    with Connection(url) as broker:
        queue = broker.SimpleQueue("embedded-check")
        queue.put({"hello": 1})
        assert queue.get(timeout=5).payload == {"hello": 1}
        queue.close()
    with Celery("check", broker=url, backend=url) as app:
        app.backend.store_result("some-task", {"answer": 42}, "SUCCESS")
        assert app.backend.get_result("some-task") == {"answer": 42}
    assert redis_client.ping()
