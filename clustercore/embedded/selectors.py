"""Which servers does this data directory use? Reads or makes small files; starts nothing."""

from __future__ import annotations

from pathlib import Path

from clustercore.embedded.adapters import secrets
from clustercore.embedded.adapters.directories import layout_of
from clustercore.embedded.domain.endpoints import Endpoints, Secret, embedded_database_url, embedded_redis_url
from clustercore.embedded.domain.layout import POSTGRES_PORT, Layout


def resolve_endpoints(data_dir: Path, database_url: str | None, redis_url: str | None) -> Endpoints:
    """The given URLs, or those of the embedded servers of `data_dir` for what is not given.

    Starts no process and never fails: where the data directory is absent or cannot be written, the passwords are
    this process's own and connecting will be refused, until `services.ensure_running` has made the directory.
    """
    layout = layout_of(data_dir)
    return Endpoints(
        data_dir=layout.data_dir,
        database_url=database_url or _database_url(layout),
        redis_url=redis_url or _redis_url(layout),
        embedded_database=not database_url,
        embedded_redis=not redis_url,
    )


def signing_key(data_dir: Path) -> Secret:
    """What the hub signs sessions with, made on first need: only for processes that serve pages."""
    return Secret(secrets.signing_key(layout_of(data_dir).secrets / "django"))


def gateway_secret(data_dir: Path) -> Secret:
    """What the gateway says to the web process to be believed, made on first need."""
    return Secret(secrets.password(layout_of(data_dir).secrets / "gateway"))


def _database_url(layout: Layout) -> str:
    password = secrets.password(layout.secrets / "postgres")
    return embedded_database_url(layout.postgres_socket_directory, POSTGRES_PORT, password)


def _redis_url(layout: Layout) -> str:
    return embedded_redis_url(layout.redis_socket, secrets.password(layout.secrets / "redis"))
