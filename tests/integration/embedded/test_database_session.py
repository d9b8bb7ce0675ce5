"""The session's fixtures give every test real servers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection

from clustercore.embedded.domain.endpoints import Endpoints

pytestmark = pytest.mark.services


@pytest.mark.django_db
def test_django_works_on_its_test_database() -> None:
    User.objects.create(username="somebody")
    assert str(connection.settings_dict["NAME"]).startswith("test_")
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_threads_have_connections_of_the_pool() -> None:
    User.objects.create(username="somebody")
    counts: list[int] = []

    def count() -> None:
        counts.append(User.objects.count())
        connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1, 1, 1, 1]


def test_redis_is_empty_at_first(redis_client: redis.Redis) -> None:
    assert redis_client.dbsize() == 0
    redis_client.set("left", "behind")


def test_redis_is_empty_again(redis_client: redis.Redis) -> None:
    assert redis_client.dbsize() == 0


def test_another_process_works_on_the_same_database(service_environment: dict[str, str]) -> None:
    User.objects.create(username="seen-from-outside")
    program = (
        "import django; django.setup(); from django.contrib.auth.models import User; print(User.objects.get().username)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=service_environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "seen-from-outside"


def test_settings_know_the_running_servers(services: Endpoints) -> None:
    from django.conf import settings

    assert services.redis_url == settings.REDIS_URL
    assert os.environ["CLUSTERCORE_DATA_DIR"] == str(services.data_dir)
