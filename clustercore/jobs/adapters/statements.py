"""Statements that every unit pays for, prepared once per connection: planning them costs more than running them.

Not behind a pooler, where the next statement may find itself on another connection to the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection

_DIRECT: WeakKeyDictionary[psycopg.Connection[Any], bool] = WeakKeyDictionary()
_NEVER_UNASKED = 1_000_000


def fetch_prepared(query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Runs a statement on Django's own connection (and in its transaction), prepared if it is direct; returns all rows.

    Parameters are bound at the server, so those that may be null or arrays need a cast in the query.
    Raises what Django raises for its own statements.
    """
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(query.encode(), parameters, prepare=is_direct(raw))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def is_direct(raw: psycopg.Connection[Any]) -> bool:
    """Whether PostgreSQL itself is at the other end. Asks once per connection.

    At login PostgreSQL tells the number of the process that serves, by which a client can cancel. A pooler that lends
    its connections by the transaction cannot: it makes numbers up.
    """
    if raw not in _DIRECT:
        with psycopg.Cursor(raw) as cursor:
            row = cursor.execute("SELECT pg_backend_pid()").fetchone()
        _DIRECT[raw] = row is not None and row[0] == raw.info.backend_pid
        raw.prepare_threshold = _NEVER_UNASKED if _DIRECT[raw] else None
    return _DIRECT[raw]
