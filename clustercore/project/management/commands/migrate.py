"""`manage.py migrate`, by one process at a time."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from clustercore.config.environment import environment
from clustercore.embedded.adapters.backups import back_up, has_jobs
from clustercore.embedded.adapters.directories import layout_of
from clustercore.embedded.adapters.migration import establish_role_settings, migration_lock
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.jobs.services.hot_statements import establish_statements


class Command(migrate.Command):
    """Django's own, under a lock, with the settings that the database keeps and the functions that the ledger calls.

    An embedded database is backed up before; whatever the verbosity, it says where that lies.
    """

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
                if self._is_to_be_backed_up(connection, options):
                    copy = back_up(layout_of(environment().data_dir), parameters, environment().backups_kept)
                    self.stdout.write(f"the database as it was before its upgrade is kept in {copy}")
                super().handle(*args, **options)
                establish_statements()
        except EmbeddedError as error:
            raise CommandError(str(error)) from error

    def _is_to_be_backed_up(self, connection: DatabaseWrapper, options: dict[str, Any]) -> bool:
        """Whether this will change the tables of an embedded database in which there is work."""
        if not (settings.ENDPOINTS.embedded_database and environment().backups_kept):
            return False
        executor = MigrationExecutor(connection)
        will_change = options["app_label"] or executor.migration_plan(executor.loader.graph.leaf_nodes())
        return bool(will_change) and has_jobs(connection.get_connection_params())
