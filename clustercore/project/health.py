"""Whether the web process lives, and whether the hub can take and give work, with a reason for each thing it cannot."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from redis import asyncio as redis

from clustercore.config.environment import environment
from clustercore.embedded.adapters.directories import layout_of

CHECK_SECONDS = 2.5
_CONNECT_SECONDS = 2

Check = Callable[[], Awaitable[str]]
"""Returns why not, or nothing."""


async def readiness(checks: Mapping[str, Check]) -> dict[str, str]:
    """The reason of each check, empty where all is well. All at once, each given `CHECK_SECONDS`."""
    reasons = await asyncio.gather(*(_within_the_time(check) for check in checks.values()))
    return {name: _told_to_strangers(reason) for name, reason in zip(checks, reasons, strict=True)}


def _told_to_strangers(reason: str) -> str:
    """Without where the hub keeps its data, which the errors of unix sockets and disks name."""
    layout = layout_of(environment().data_dir)
    for place in (layout.sockets, layout.data_dir, environment().data_dir):
        reason = reason.replace(str(place), "…")
    return reason


async def _within_the_time(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:  # whatever it is, it is the reason
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


async def database() -> str:
    """One statement on a connection of its own: a pool that waits would hide why."""
    async with await _connect() as connection:
        await connection.execute("SELECT 1")
    return ""


async def migrations() -> str:
    """Whether the schema is this version's."""
    async with await _connect() as connection:
        cursor = await connection.execute("SELECT app, name FROM django_migrations")
        applied = set(await cursor.fetchall())
    missing = sorted(known_migrations() - applied)
    return f"{len(missing)} not applied, first {'.'.join(missing[0])}: run `clustercore up`" if missing else ""


async def broker() -> str:
    """A write, since a server that is out of memory or disk still answers a ping."""
    client = redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=_CONNECT_SECONDS
    )
    try:
        await client.set("clustercore:ready", 1, ex=10)
    finally:
        await client.aclose()
    return ""


async def disk() -> str:
    """Room in the data directory, or in what will hold it."""
    wanted = environment().min_free_disk_gb
    directory = environment().data_dir
    existing = directory if directory.exists() else directory.parent
    free = (await asyncio.to_thread(shutil.disk_usage, existing)).free / 1e9
    return "" if free >= wanted else f"{free:.2f} GB free where the data lie, {wanted:g} GB wanted: free some space"


CHECKS: Mapping[str, Check] = {"database": database, "broker": broker, "migrations": migrations, "disk": disk}


@lru_cache(maxsize=1)
def known_migrations() -> frozenset[tuple[str, str]]:
    """Every migration of this version, as (application, name); read from the disk once."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations or ())


async def _connect() -> psycopg.AsyncConnection[tuple[Any, ...]]:
    configured = connections["default"].settings_dict
    return await psycopg.AsyncConnection.connect(
        dbname=configured["NAME"],
        user=configured["USER"],
        password=configured["PASSWORD"],
        host=configured["HOST"] or None,
        port=configured["PORT"] or None,
        connect_timeout=_CONNECT_SECONDS,
        autocommit=True,
    )
