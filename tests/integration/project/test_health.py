from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client

from clustercore.config.environment import environment
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.project import health

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word: a server that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def ready() -> tuple[int, dict[str, str], float]:
    started = time.monotonic()
    response = Client().get("/readyz")
    reasons = {name: check["reason"] for name, check in response.json()["checks"].items()}
    assert response.json()["ready"] == (response.status_code == 200) == (not any(reasons.values()))
    return response.status_code, reasons, time.monotonic() - started


def test_a_hub_with_all_it_needs_is_ready(services: Endpoints) -> None:
    status, reasons, _ = ready()
    assert (status, reasons) == (200, {"database": "", "broker": "", "migrations": "", "disk": ""})


def test_the_process_is_alive_even_if_nothing_else_is(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    response = Client().get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


def test_a_broker_that_refuses_is_the_reason(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    status, reasons, _ = ready()
    assert status == 503
    assert "127.0.0.1:1" in reasons["broker"]
    assert not reasons["database"]


def test_servers_that_hang_do_not_hang_the_answer(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, silent_server: int
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{silent_server}"
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", str(silent_server))
    status, reasons, seconds = ready()
    assert status == 503
    assert reasons["broker"] and reasons["database"] and reasons["migrations"]
    assert seconds < health.CHECK_SECONDS + 5.0


def test_a_migration_that_was_not_applied_is_named(services: Endpoints) -> None:
    with connection.cursor() as link:
        link.execute("DELETE FROM django_migrations WHERE app = 'blobs' AND name = '0001_initial'")
        try:
            status, reasons, _ = ready()
        finally:
            link.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('blobs', '0001_initial', now())")
    assert status == 503
    assert "blobs.0001_initial" in reasons["migrations"]


def test_a_disk_with_too_little_room_is_the_reason(services: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERCORE_MIN_FREE_DISK_GB", "1000000")
    environment.cache_clear()
    try:
        status, reasons, _ = ready()
    finally:
        monkeypatch.undo()
        environment.cache_clear()
    assert status == 503
    assert "1e+06 GB wanted" in reasons["disk"]
