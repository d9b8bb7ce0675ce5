"""Statements that every unit pays for, kept by the database as functions: planning them costs more than running them.

PostgreSQL keeps the plan of a function's statement in each of its processes, so that it does not matter whether a
pooler lends this client another one with every transaction. A prepared statement would be lost there.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import inf
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection

_PARAMETER = re.compile(r"%\((\w+)\)s")
# A plan is kept, and one that was made while a table was small must not read all of it when it has grown. All of these
# statements look a few rows up, in the order of an index.
_UNWANTED = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort", "incremental_sort")
_BY_INDEX = " ".join(f"SET enable_{way} = off" for way in _UNWANTED)
_PRESENT: WeakKeyDictionary[psycopg.Connection[Any], set[str]] = WeakKeyDictionary()
_MISSED: WeakKeyDictionary[psycopg.Connection[Any], dict[str, float]] = WeakKeyDictionary()
MISSED_SECONDS = 60.0
"""For so long a connection takes a function that it did not find for absent: a migration may bring it meanwhile."""


@dataclass(frozen=True)
class _Stored(ABC):
    """What the database keeps as a function: its parameters' types, and the columns of its rows."""

    name: str
    parameters: Mapping[str, str]
    """PostgreSQL's type of each `%(name)s` of the text."""
    columns: Mapping[str, str]
    """Exactly the types that the text returns; a caller may name more than one of them alike in it."""

    @property
    @abstractmethod
    def body(self) -> str:
        """What stands between BEGIN and END."""

    @cached_property
    def function(self) -> str:
        """The name of its function, which another text has not: nodes of two versions may share a database."""
        text = repr((sorted(self.parameters.items()), list(self.columns.items()), self.body, _BY_INDEX))
        return f"{self.name}_{sha256(text.encode()).hexdigest()[:8]}"

    @cached_property
    def definition(self) -> str:
        """The SQL that makes the function. A column's name means the table's, not the result's."""
        numbers = {name: f"${number}" for number, name in enumerate(self.parameters, start=1)}
        body = _PARAMETER.sub(lambda found: numbers[found[1]], self.body).replace("%%", "%")
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return f"""
            CREATE OR REPLACE FUNCTION {self.function} ({", ".join(self.parameters.values())})
            RETURNS TABLE ({columns}) LANGUAGE plpgsql VOLATILE {_BY_INDEX} AS $function$
            #variable_conflict use_column
            BEGIN {body} END $function$"""

    @cached_property
    def call(self) -> bytes:
        """The SQL that calls the function."""
        arguments = ", ".join(f"%({name})s::{kind}" for name, kind in self.parameters.items())
        return f"SELECT * FROM {self.function}({arguments})".encode()

    def _is_present(self, cursor: psycopg.Cursor[Any]) -> bool:
        """Asks once per connection, and now and then while there is none.

        A transaction that rolls the function back ends in tests only.
        """
        found = _PRESENT.setdefault(cursor.connection, set())
        missed = _MISSED.setdefault(cursor.connection, {})
        now = monotonic()
        if self.function not in found and now - missed.get(self.function, -inf) >= MISSED_SECONDS:
            missed[self.function] = now
            found.update(_present(cursor, [self.function]))
        return self.function in found


@dataclass(frozen=True)
class StoredFunction(_Stored):
    """Several statements in one trip, each of which sees what was committed meanwhile."""

    text: str
    """What stands between BEGIN and END, in PL/pgSQL."""

    @property
    def body(self) -> str:
        return self.text

    def fetch(self, **arguments: Any) -> list[tuple[Any, ...]] | None:
        """Calls it on Django's own connection, and in its transaction; returns all rows.

        Returns None, and does nothing, in a database that has no such function. Raises as Django's statements do.
        """
        connection.ensure_connection()
        raw: psycopg.Connection[Any] = connection.connection
        with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
            return cursor.execute(self.call, arguments).fetchall() if self._is_present(cursor) else None


@dataclass(frozen=True)
class StoredStatement(_Stored):
    """One statement, and what is to be locked before it looks."""

    query: str
    first: str = ""
    """A SELECT that runs before the query, for what it does; the query sees what was committed until then."""

    @property
    def body(self) -> str:
        perform = f"PERFORM {self.first.strip().removeprefix('SELECT')}; " if self.first else ""
        return f"{perform}RETURN QUERY {self.query};"

    def fetch(self, **arguments: Any) -> list[tuple[Any, ...]]:
        """Runs it on Django's own connection, and in its transaction; returns all rows.

        A database that has no such function, because it is of another version, runs the text itself.
        Raises what Django raises for its own statements.
        """
        connection.ensure_connection()
        raw: psycopg.Connection[Any] = connection.connection
        with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
            if self._is_present(cursor):
                return cursor.execute(self.call, arguments).fetchall()
            if self.first:
                cursor.execute(self.first.encode(), arguments)
            return cursor.execute(self.query.encode(), arguments).fetchall()


def establish(statements: Iterable[StoredStatement | StoredFunction]) -> None:
    """Makes the functions that the database lacks. Those of other versions stay: their nodes may still run."""
    wanted = {statement.function: statement.definition for statement in statements}
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        for name in wanted.keys() - _present(cursor, list(wanted)):
            cursor.execute(wanted[name].encode())


def _present(cursor: psycopg.Cursor[Any], names: list[str]) -> set[str]:
    found = cursor.execute("SELECT proname FROM pg_proc WHERE proname = ANY(%s)", [names])
    return {name for (name,) in found}
