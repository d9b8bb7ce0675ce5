"""`manage.py migrate`, by one process at a time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from clustercore.embedded.adapters.migration import establish_role_settings, migration_lock
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.jobs.services.hot_statements import establish_statements


class Command(migrate.Command):
    """Django's own, under a lock, with the settings that the database keeps and the functions that the ledger calls."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Waits for another process that migrates. Raises CommandError when that takes too long."""
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        connection: DatabaseWrapper = connections[options["database"]]  # type: ignore[assignment]
        parameters = connection.get_connection_params()
        try:
            with migration_lock(parameters):
                if establish_role_settings(parameters):
                    # A session has the settings of the time when it began.
                    connection.close()
                    connection.close_pool()
                super().handle(*args, **options)
                establish_statements()
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
