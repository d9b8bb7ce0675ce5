"""The addresses of PostgreSQL and Redis, as URLs and as Django settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from clustercore.embedded.domain.server_urls import parse_database_url

ROLE = "clustercore"
DATABASE = "clustercore"
SOCKET_PLACE = "/socket"
"""Stands for the path of Redis's socket where nobody needs to know it."""
_REDIS_SOCKET = "unix://"
_CREDENTIALS = ("username", "password")


class Secret(str):
    """A text that opens something: whoever shows what holds it, a log or an error page, shows stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the servers are; `embedded_*` says which of them are this data directory's own."""

    data_dir: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    embedded_database: bool
    embedded_redis: bool


def embedded_database_url(socket_directory: Path, port: int, password: str) -> str:
    """URL of the embedded PostgreSQL on its unix socket, every part quoted."""
    query = urlencode({"host": str(socket_directory), "port": port}, quote_via=quote, safe="")
    return f"postgresql://{ROLE}:{quote(password, safe='')}@/{DATABASE}?{query}"


def embedded_redis_url(socket: Path, password: str) -> str:
    """URL of the embedded Redis on its unix socket, as redis-py takes it; Celery takes `celery_url` of it."""
    return f"unix://:{quote(password, safe='')}@{quote(str(socket))}?db=0"


def celery_url(redis_url: str) -> str:
    """The same server as kombu and Celery's result backend name it: they have a scheme of their own for sockets."""
    if not redis_url.startswith(_REDIS_SOCKET):
        return redis_url
    address, _, query = redis_url.removeprefix(_REDIS_SOCKET).partition("?")
    number = dict(parse_qsl(query)).get("db", "0")
    return f"redis+socket://{address}?virtual_host={number}"


def public_database_url(database_url: str, host: str, port: int) -> str:
    """The same role, password and database as seen through a gateway at host and port."""
    parts = urlsplit(database_url)
    user, password = unquote(parts.username or ROLE), unquote(parts.password or "")
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{credentials}@{_bracketed(host)}:{port}{parts.path}"


def public_redis_url(redis_url: str, host: str, port: int) -> str:
    """The same user, password and database number as seen through a gateway at host and port."""
    parts = urlsplit(redis_url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    on_socket = redis_url.startswith(_REDIS_SOCKET)
    database = "/" + dict(parse_qsl(parts.query)).get("db", "0") if on_socket else parts.path or "/0"
    return f"redis://{credentials}{_bracketed(host)}:{port}{database}"


def without_credentials(redis_url: str, **query: str) -> str:
    """The same server and database number, with `query` added, and nothing in it that opens the server.

    A socket's path is left out too, for it tells where the data lie: `redis_socket` knows it.
    """
    parts = urlsplit(celery_url(redis_url))
    kept = {name: value for name, value in parse_qsl(parts.query) if name not in _CREDENTIALS}
    path = SOCKET_PLACE if redis_url.startswith(_REDIS_SOCKET) else parts.path
    words = urlencode({**kept, **query}, safe=":")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}{'?' if words else ''}{words}"


def redis_socket(redis_url: str) -> str:
    """Path of the unix socket that a `unix://` URL names."""
    return unquote(urlsplit(redis_url).path)


def redis_credentials(redis_url: str) -> tuple[str] | tuple[str, str] | None:
    """Password, or user and password, as Redis's AUTH takes them; None where the URL names no password."""
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query))
    user = query.get("username") or unquote(parts.username or "")
    password = query.get("password") or unquote(parts.password or "")
    if not password:
        return None
    return (user, password) if user else (password,)


def database_settings(url: str, pool_size: int) -> dict[str, Any]:
    """Django's `DATABASES` entry for a `postgresql://` URL.

    The host may be a name, an address, a socket directory (`?host=/directory`), or several of them. Other query
    parameters go to libpq as they are. `pool_size` is the most connections this process keeps. Raises ValueError.
    """
    address = parse_database_url(url)
    return {
        "ENGINE": "clustercore.embedded.adapters.postgresql",
        "NAME": address.database or DATABASE,
        "USER": address.user,
        "PASSWORD": Secret(address.password),
        "HOST": address.hosts,
        "PORT": address.ports,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        # Outside a transaction they would be of a session, which is another's next behind a pooler.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": _connection_options(pool_size) | dict(address.options),
    }


def _connection_options(pool_size: int) -> dict[str, Any]:
    """A broken link is noticed within about 25 s instead of the kernel's hours, by whoever waits for an answer
    (`keepalives`), and within 15 s by whoever sends something after it broke: nothing but `tcp_user_timeout` bounds
    what nobody acknowledges. libpq passes over it where the system has no such option, and on a socket of this machine.

    Nothing here is a setting of the server's session: see `role_settings`.

    `reconnect_timeout` bounds the pool's growing pauses between tries: with its default a node comes back from an
    outage of the database as late again as the outage was long, and its leases have run out by then.

    `max_idle` closes one that nobody needed for so long after the other: a slot gives its own back while its handler
    works elsewhere, and the server's connections are few for many nodes.
    """
    pool = {"min_size": 1, "max_size": max(1, pool_size), "timeout": 5, "reconnect_timeout": 5, "max_idle": 5}
    return {
        "pool": pool,
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
