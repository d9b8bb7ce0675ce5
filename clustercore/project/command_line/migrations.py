"""The database's tables, as this version wants them."""

from __future__ import annotations

from io import StringIO

from django.core import management
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from clustercore.terminal.domain.endings import Unreachable


def migrate() -> str:
    """Brings the database to this version; of several processes one does it and the others wait for it.

    Returns what is to be told of it: where a backup lies, if one was made. Raises Unreachable when that takes the
    other too long.
    """
    said = StringIO()
    try:
        call_command("migrate", verbosity=0, interactive=False, stdout=said)
    except management.CommandError as error:
        raise Unreachable(str(error)) from error
    return said.getvalue().strip()


def pending_migrations() -> list[str]:
    """Names of migrations that the database lacks."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
