"""A hub that answers HTTP, as a process of its own, and this process as a node on another machine."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from clustercore.blobs import services as blobs
from clustercore.blobs.domain.signing import signed_path
from clustercore.blobs.models import Blob, Hub
from clustercore.config.environment import environment
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.project.web import command
from tests.conftest import database_url_of

UPLOAD_LIMIT_GB = 1_000_000
MoveTo = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A web process with the store of `data_dir`."""

    data_dir: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def files(self) -> list[Path]:
        """Every file below the store but the identity."""
        found = (path for path in (self.data_dir / "blobs").rglob("*") if path.is_file())
        return sorted(path for path in found if path.name != "hub-identity")


@pytest.fixture(scope="session")
def web_process(
    django_db_setup: None, services: Endpoints, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """One web process for all tests on blobs; its store is emptied by `hub`."""
    running = RunningHub(tmp_path_factory.mktemp("hub"), _free_port())
    name = str(connection.settings_dict["NAME"])
    process = subprocess.Popen(command(port=running.port), env=_environment(running.data_dir, services, name))
    try:
        _wait_until_it_answers(running.url, process)
        yield running
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def hub(web_process: RunningHub, transactional_db: None, move_to: MoveTo) -> RunningHub:
    """The hub, established anew, with an empty store; this process is on its machine."""
    for path in web_process.files():
        path.unlink()
    move_to(web_process.data_dir)
    blobs.establish_hub(web_process.data_dir, web_process.url)
    return web_process


@pytest.fixture
def move_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[MoveTo]:
    """Makes this process one of another machine: another data directory."""

    def move(data_dir: Path) -> None:
        monkeypatch.setenv("CLUSTERCORE_DATA_DIR", str(data_dir))
        environment.cache_clear()

    yield move
    environment.cache_clear()


@pytest.fixture
def node(hub: RunningHub, move_to: MoveTo, tmp_path: Path) -> Path:
    """The data directory of a node on another machine, which this process now is."""
    data_dir = tmp_path / "node"
    move_to(data_dir)
    return data_dir


@pytest.fixture
def signed() -> Callable[[str, str], str]:
    """The signed path of a request, good for a minute."""

    def sign(method: str, sha256: str) -> str:
        return signed_path(Hub.objects.get().signing_key, method, sha256, int(time.time()) + 60)

    return sign


def make_old(sha256s: Collection[str]) -> None:
    """Makes it long ago that these blobs were stored."""
    Blob.objects.filter(pk__in=sha256s).update(stamped=Now() - timedelta(days=1))


def nobody(_asked: Collection[str]) -> Collection[str]:
    """Nobody refers to anything."""
    return ()


def delete(sha256s: Collection[str]) -> None:
    """Deletes what nobody refers to and was stored long ago."""
    make_old(sha256s)
    blobs.delete_unreferenced(sha256s, nobody)


def somebody_waits_for_a_lock() -> bool:
    """In this test's database, now."""
    with connection.cursor() as cursor:
        # Within a transaction a connection that was opened since the last look would not be seen.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return cursor.fetchone() is not None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _environment(data_dir: Path, services: Endpoints, database: str) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCORE_TEST_")}
    return own | {
        "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
        "CLUSTERCORE_DATA_DIR": str(data_dir),
        "CLUSTERCORE_SECRET_KEY": settings.SECRET_KEY,
        "CLUSTERCORE_MAX_UPLOAD_GB": str(UPLOAD_LIMIT_GB),
        "DATABASE_URL": database_url_of(services.database_url, database),
        "REDIS_URL": services.redis_url,
    }


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the web process does not answer at {url} (exit code {process.poll()})")
