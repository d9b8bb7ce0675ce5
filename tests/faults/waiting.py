"""Waiting for what no signal tells, and reading a ledger whose server may just have been killed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from psycopg_pool import PoolTimeout
from redis.exceptions import ConnectionError as RedisAway

T = TypeVar("T")
AWAY = (OperationalError, InterfaceError, PoolTimeout, RedisAway)


def until(condition: Callable[[], T | None], seconds: float, what: str | Callable[[], str]) -> T:
    """The condition's first true value. Fails when that takes longer, saying `what` is wrong; a server that is away
    counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        value = _or_nothing(condition)
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s: {what() if callable(what) else what}")
        threading.Event().wait(0.03)


def _or_nothing(condition: Callable[[], T | None]) -> T | None:
    try:
        return condition()
    except AWAY:
        # A broken connection goes back to the pool, which throws it away.
        connection.close()
        return None
