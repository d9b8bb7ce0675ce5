from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flower.command
import flower.utils.broker
import pytest
from celery import Celery
from flower.utils.broker import Broker

from clustercore.embedded.domain.endpoints import embedded_redis_url
from clustercore.project.flower import application
from clustercore.project.flower.process import arguments, credentials, socket_path, with_remedy


def test_a_failed_task_names_the_page_where_its_unit_is_retried() -> None:
    task = SimpleNamespace(exception="AttemptFailed('unit 12 of job 3 (transcribe 4): out of memory')")
    assert with_remedy(task).exception.endswith("/admin/jobs/unit/12/change/")
    assert "/admin/" not in task.exception


def test_a_task_that_did_not_fail_or_is_not_about_a_unit_is_shown_as_it_is() -> None:
    for exception in (None, "", "ConnectionError('no route')"):
        assert with_remedy(SimpleNamespace(exception=exception)).exception == exception


def test_it_listens_on_a_socket_and_on_no_port(tmp_path: Path) -> None:
    words = arguments(tmp_path)
    assert f"--unix_socket={socket_path(tmp_path)}" in words
    assert not any("port" in word or "address" in word for word in words)


def test_its_password_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    assert credentials(tmp_path) == credentials(tmp_path)
    assert (tmp_path / "secrets" / "flower").stat().st_mode & 0o077 == 0


def test_it_counts_what_waits_on_a_socket_whose_path_has_spaces_in_the_hubs_own_database(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flower.command, "Flower", flower.command.Flower)
    monkeypatch.setattr(flower.utils.broker, "RedisSocket", flower.utils.broker.RedisSocket)
    application.install()
    socket = Path("/Users/ada/Library/Application Support/clustercore/run/redis/redis.sock")
    settings.REDIS_URL = embedded_redis_url(socket, "a/b").replace("db=0", "db=3")
    broker = Broker(application.HubFlower.broker_uri_with_password.fget(None))
    told = broker.redis.connection_pool.connection_kwargs
    assert (told["path"], told["password"], told["db"]) == (str(socket), "a/b", 3)


def test_it_starts_and_ends_while_the_broker_is_away(tmp_path: Path) -> None:
    with Celery("away", broker=f"redis+socket://{tmp_path}/nobody.sock", set_as_current=False) as app:
        application.tell_workers(app, lambda **_: pytest.fail("there is nobody to tell"))
