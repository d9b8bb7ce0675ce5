"""What works on this machine and in its cluster, what does not, and what to type. Each check is told, none raises."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis
from django.db import DatabaseError, InterfaceError

from clustercore.blobs.domain.addresses import hub_base_url
from clustercore.blobs.models import Hub
from clustercore.config.adapters.plugins import load
from clustercore.config.environment import environment
from clustercore.embedded.domain.role_settings import ROLE_SETTINGS
from clustercore.nodes.adapters.hardware import usable_cores
from clustercore.project.command_line.cluster import (
    CONNECT_SECONDS,
    endpoints,
)
from clustercore.project.command_line.commands import rooms_with_commands
from clustercore.project.command_line.migrations import pending_migrations
from clustercore.project.command_line.servers import uses_embedded_servers
from clustercore.terminal.domain.findings import BROKEN, HINT, OK, Finding
from clustercore.terminal.domain.humanize import counted

CLOCK_SECONDS = 5.0
OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRESQL = 14
_SERVER_SETTINGS = """
    SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
        current_setting('max_connections'), extract(epoch FROM now())"""

_PGVECTOR = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
_NO_PGVECTOR = "not in this database; nothing needs it yet: a superuser makes it by CREATE EXTENSION vector"

_SET_ROLE = "`clustercore up` or `manage.py migrate` sets them for the role; a pooler that runs must then RECONNECT"


def machine_findings() -> Iterator[Finding]:
    """Of this machine alone: what the program needs, then what each room needs (`ROOM.commands.FINDINGS`)."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    state = OK if sys.version_info >= OLDEST_PYTHON else BROKEN
    yield Finding("python", state, f"{python} on {platform.system()} {platform.machine()}, {usable_cores()} cores")
    yield _disk(environment().data_dir)
    yield from _of_rooms("FINDINGS")


def _of_rooms(which: str) -> Iterator[Finding]:
    for room in rooms_with_commands():
        for name in getattr(room, which, ()):
            yield from load(name)()


def cluster_findings() -> Iterator[Finding]:
    """Of the servers and the hub, from here."""
    whose = "built in" if uses_embedded_servers() else "from DATABASE_URL and REDIS_URL"
    yield Finding("servers", OK, whose)
    database = list(_told("postgresql", _postgres))
    yield from database
    yield from _told("redis", _redis)
    if all(finding.state != BROKEN for finding in database):
        yield from _told("tables", _tables)


def _told(about: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except (DatabaseError, InterfaceError, psycopg.Error, redis.RedisError, OSError) as error:
        remedy = "start it with `clustercore up`" if uses_embedded_servers() else "check DATABASE_URL and REDIS_URL"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        yield Finding(about, BROKEN, f"{lines[0]}; {remedy}")


def _is_pooled(link: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Whether a pooler answers in PostgreSQL's place.

    At login PostgreSQL tells the number of the process that serves, by which a client can cancel. A pooler that lends
    its connections by the transaction cannot: it makes numbers up.
    """
    return link.execute("SELECT pg_backend_pid()").fetchone() != (link.info.backend_pid,)


def _postgres() -> Iterator[Finding]:
    with psycopg.connect(endpoints().database_url, connect_timeout=CONNECT_SECONDS) as link:
        version, fsync, commits, connections, at = link.execute(_SERVER_SETTINGS).fetchone() or ("", "", "", "", 0)
        missing = list(_missing_settings(link))
        vectors = (link.execute(_PGVECTOR).fetchone() or ("",))[0]
        is_old, way = link.info.server_version < OLDEST_POSTGRESQL * 10_000, "pooled, " if _is_pooled(link) else ""
    safe = fsync == "on" and commits != "off"
    text = f"{version}, {way}fsync {fsync}, synchronous_commit {commits}, {connections} connections"
    remedy = "" if safe else "; a power cut may lose accepted work: turn both on"
    remedy += f"; PostgreSQL {OLDEST_POSTGRESQL} or newer is needed" if is_old else ""
    yield Finding("postgresql", BROKEN if remedy else OK, text + remedy)
    yield Finding("pgvector", OK if vectors else HINT, vectors or _NO_PGVECTOR)
    if missing:
        yield Finding("role settings", HINT, f"{', '.join(missing)}; {_SET_ROLE}")
    difference = abs(float(at) - time.time())
    text = f"{difference:.1f} s from the database's"
    remedy = "; set this machine's clock (leases go by the database's, logs by this one)"
    yield Finding("clock", *((OK, text) if difference < CLOCK_SECONDS else (HINT, text + remedy)))


def _missing_settings(link: psycopg.Connection[Any]) -> Iterator[str]:
    for name, wanted in ROLE_SETTINGS.items():
        found = (link.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",))[0]
        if found != wanted:
            yield f"{name} is {found}, not {wanted}"


def _redis() -> Iterator[Finding]:
    with redis.Redis.from_url(endpoints().redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
        info = client.info()
    version = info.get("valkey_version") or info["redis_version"]
    append_only, policy = bool(info.get("aof_enabled")), str(info.get("maxmemory_policy", "unknown"))
    text = f"{version}, append-only file {'on' if append_only else 'off'}, {policy}"
    wrong = [
        *([] if append_only else ["set `appendonly yes`"]),
        *([] if policy in ("noeviction", "unknown") else ["set `maxmemory-policy noeviction`"]),
    ]
    # The ledger rings again what a server forgets: slower, but nothing is lost.
    yield Finding("redis", HINT if wrong else OK, f"{text}{'; ' if wrong else ''}{', '.join(wrong)}")


def _tables() -> Iterator[Finding]:
    pending = pending_migrations()
    if pending:
        yield Finding("tables", HINT, f"{counted(len(pending), 'migration')} to apply; `clustercore up` does it")
        return
    yield Finding("tables", OK, "of this version")
    yield _hub()
    yield from _of_rooms("CLUSTER_FINDINGS")


def _hub() -> Finding:
    hub = Hub.objects.first()
    if hub is None:
        return Finding("hub", HINT, "none yet; `clustercore up` makes this machine one")
    settings = environment()
    url = hub_base_url(settings.hub_url, settings.database_url, hub.blob_url)
    try:
        answer = httpx.get(f"{url}/healthz", timeout=5.0)
    except httpx.HTTPError as error:
        return Finding("hub", HINT, f"{url} does not answer ({error}); is `clustercore up` running there?")
    return Finding("hub", OK if answer.is_success else HINT, f"{url} answers {answer.status_code}")


def _disk(directory: Path) -> Finding:
    place = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    free_gb = shutil.disk_usage(place).free / 1e9
    wanted = environment().min_free_disk_gb
    text = f"{free_gb:.1f} GB free for {directory}"
    if free_gb < wanted:
        return Finding("disk", BROKEN, f"{text}; {wanted:g} GB are needed: make room, or choose --data-dir elsewhere")
    return Finding("disk", OK, text)
