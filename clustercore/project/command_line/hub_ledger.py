"""What a hub that starts does in its ledger, and asks it: plain values in and out, for `ledger_answers`."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from clustercore.access.services.audit_checkpoints import establish_checkpoints
from clustercore.access.services.setup import make_setup_path
from clustercore.blobs.services import establish_hub
from clustercore.config.environment import environment
from clustercore.nodes.selectors import live_nodes
from clustercore.project.command_line import migrations

_LIMITS_OF_SERVER = """
    SELECT max(setting::int) FILTER (WHERE name = 'max_connections'),
        max(setting::int) FILTER (WHERE name = 'authentication_timeout')
    FROM pg_settings WHERE name IN ('max_connections', 'authentication_timeout')"""


def migrate() -> str:
    """Brings the database to this version; returns what is to be told of it. Raises Unreachable, OperationalError."""
    return migrations.migrate()


def establish(web_url: str) -> None:
    """Makes this data directory the hub's, with its pages at `web_url`. Raises BlobError."""
    establish_hub(environment().data_dir, web_url)
    establish_checkpoints()


def login_limits() -> tuple[int, int]:
    """Returns how many connections the ledger's PostgreSQL takes, and for how many seconds it waits for a login.

    Raises OperationalError.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS_OF_SERVER)
        connections, login_seconds = cursor.fetchone()
    return connections, login_seconds


def registered(names: Sequence[str], process_ids: Sequence[int]) -> list[str]:
    """Returns the names of those nodes that are online, run in one of these processes and are no longer starting."""
    ours = live_nodes().filter(name__in=list(names), process_id__in=list(process_ids))
    return list(ours.exclude(hold_reason__startswith="starting").values_list("name", flat=True))


def setup_path() -> str:
    """Returns the path of a new link for the first administrator; empty where there is one."""
    return make_setup_path()
