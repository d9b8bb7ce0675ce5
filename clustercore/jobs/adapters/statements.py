"""Statements that every unit pays for, prepared once per connection: planning them costs more than running them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection


def fetch_prepared(query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Runs a prepared statement on Django's own connection (and in its transaction) and returns all rows.

    Parameters are bound at the server, so those that may be null or arrays need a cast in the query.
    Raises what Django raises for its own statements.
    """
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(query.encode(), parameters, prepare=True)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
