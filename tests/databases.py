"""A database for the tests of one package together, on the session's servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis
from django.core.management import call_command
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from clustercore.embedded.domain.endpoints import Endpoints


@contextmanager
def own_database(name: str, services: Endpoints, blocker: DjangoDbBlocker) -> Iterator[Endpoints]:
    """A migrated database, which this process uses meanwhile. Redis, which all packages share, is left empty."""
    before = str(connection.settings_dict["NAME"])
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        link.execute(f"CREATE DATABASE {name}")
    empty_redis(services)
    with blocker.unblock():
        use_database(name)
        try:
            call_command("migrate", verbosity=0, interactive=False)
            yield services
        finally:
            use_database(before)
    empty_redis(services)
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE {name} WITH (FORCE)")


def empty_redis(services: Endpoints) -> None:
    """A message of one package's jobs would name another package's units."""
    with redis.Redis.from_url(services.redis_url) as client:
        client.flushall()


def use_database(name: str) -> None:
    """Lets this process's connection lead to another database of the same server."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["NAME"] = name


def redis_database(url: str, number: int) -> str:
    """Another database of the embedded Redis, whose URL names its database last."""
    head, named, _ = url.rpartition("db=")
    assert named, url
    return f"{head}db={number}"
