"""Refuses configurations that lose work or let strangers run code, each with its remedy.

`configuration_problems` runs with every `manage.py check`. `broker_problems` needs the live server, so it runs where
somebody starts or examines a cluster: `check --database default`, `clustercore up`, `clustercore doctor`, a worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

CLUSTER = "cluster"
_PICKLES = {"pickle", "application/x-python-serialize", "yaml", "application/x-yaml"}
_TIMEOUT_SECONDS = 3.0


@register(CLUSTER)
def configuration_problems(**_options: Any) -> list[CheckMessage]:
    """What the settings alone tell: E001 and E004."""
    return [*_pickle_problems(), *_database_problems()]


@register(CLUSTER, Tags.database)
def live_broker_problems(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """What the broker tells, when somebody asked for checks that need servers."""
    return broker_problems(settings.REDIS_URL) if databases else []


def broker_problems(redis_url: str) -> list[CheckMessage]:
    """What a running broker's configuration puts at risk: E002 (eviction), E003 (no append-only file).

    W001 when it cannot be asked: it does not answer, or hides its configuration.
    """
    client = redis.Redis.from_url(
        redis_url, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=_TIMEOUT_SECONDS, decode_responses=True
    )
    try:
        with client:
            return [*_eviction_problems(_policy(client)), *_persistence_problems(client.info("persistence"))]
    except redis.RedisError as error:
        return [
            Warning(
                f"the broker could not be asked how it keeps its data: {error}",
                hint="See that REDIS_URL is right, that the server runs, and that it allows INFO.",
                id="cluster.W001",
            )
        ]


def _pickle_problems() -> list[CheckMessage]:
    accepted = {*settings.CELERY["accept_content"], *settings.CELERY["result_accept_content"]}
    dangerous = sorted(accepted & _PICKLES)
    if not dangerous:
        return []
    return [
        Error(
            f"{', '.join(dangerous)} messages are accepted: whoever writes to the broker runs code on all nodes",
            hint='Set accept_content and result_accept_content of CELERY to ["json"].',
            id="cluster.E001",
        )
    ]


def _database_problems() -> list[CheckMessage]:
    engine = settings.DATABASES["default"].get("ENGINE", "")
    if "postgresql" in engine:
        return []
    return [
        Error(
            f"the database is {engine or 'not set'}: the ledger needs PostgreSQL (SKIP LOCKED, advisory locks)",
            hint="Unset DATABASE_URL to use the embedded PostgreSQL, or point it at one: postgresql://…",
            id="cluster.E004",
        )
    ]


def _policy(client: redis.Redis) -> str:
    # INFO tells the policy where managed servers forbid CONFIG.
    memory: dict[str, Any] = client.info("memory")
    return str(memory.get("maxmemory_policy", "noeviction"))


def _eviction_problems(policy: str) -> list[CheckMessage]:
    if policy == "noeviction":
        return []
    return [
        Error(
            f"the broker drops messages when its memory is full (maxmemory-policy {policy})",
            hint="Run `redis-cli CONFIG SET maxmemory-policy noeviction` and put it into the server's configuration.",
            id="cluster.E002",
        )
    ]


def _persistence_problems(persistence: dict[str, Any]) -> list[CheckMessage]:
    if persistence.get("aof_enabled"):
        return []
    return [
        Error(
            "the broker keeps no append-only file: when it is killed, its messages are gone",
            hint="Run `redis-cli CONFIG SET appendonly yes` and put it into the server's configuration.",
            id="cluster.E003",
        )
    ]
