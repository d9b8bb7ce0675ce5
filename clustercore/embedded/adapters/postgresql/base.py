"""Django's backend for PostgreSQL, in which all that may pass by itself is an OperationalError.

psycopg files a server that takes no writes, and a transaction that the server ended, under InternalError, as it does
what is wrong inside the server. Whoever waits for a database that is away would take them for a bug, and end.
"""

from __future__ import annotations

from functools import cached_property
from types import TracebackType

from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper, OperationalError

from clustercore.embedded.domain.database_trouble import is_refused_for_now


class _Errors(DatabaseErrorWrapper):
    """Raises what Django raises, but for what is refused for now."""

    def __init__(self, database: DatabaseWrapper) -> None:
        super().__init__(database)
        self._database = database

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_value is not None and is_refused_for_now(exc_value):
            self._database.errors_occurred = True
            raise OperationalError(*exc_value.args).with_traceback(traceback) from exc_value
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    """Differs from Django's in its errors alone."""

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """As Django's, which says nothing of it."""
        return _Errors(self)
