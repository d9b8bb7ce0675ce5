"""How many connections to the database a worker may have, by what it really does at once."""

from __future__ import annotations

from typing import Any, cast

from django.db import connection

THREADS_BESIDE_SLOTS = 8
"""The worker's own, leases, upkeep, self-test, telling changes, delivery of files, model pull, hand-back."""


def make_room_for(slots: int) -> None:
    """Lets each slot and each thread beside them have a connection at once; for before any of them has one.

    How many slots there are is known to the worker alone: `--concurrency` wins over every setting.
    """
    pool: dict[str, Any] | None = connection.settings_dict["OPTIONS"].get("pool")
    if pool is None or pool["max_size"] >= slots + THREADS_BESIDE_SLOTS:
        return
    pool["max_size"] = slots + THREADS_BESIDE_SLOTS
    # It is made anew, and with that size, when somebody asks for a connection.
    connection.close()
    cast(Any, connection).close_pool()
