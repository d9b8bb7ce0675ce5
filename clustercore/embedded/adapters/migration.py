"""What stands around a migration: a lock, so that one process does it, and the settings of the database's role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable

from clustercore.embedded.domain.advisory_locks import AdvisoryLock
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.role_settings import ROLE_SETTINGS

PATIENCE_SECONDS = 60.0
_HOLDER = """
    SELECT to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), a.pid
    FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = %s AND l.objsubid = 1
        AND d.datname = current_database()"""
_SET = """
    SELECT unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE d.datname = current_database() AND s.setrole = current_user::regrole"""
_BUSY = (
    "another process is migrating this database{since}. Try again when it is done; if it hangs, end it, or its "
    "connection: SELECT pg_terminate_backend({pid})"
)


@contextmanager
def migration_lock(parameters: Mapping[str, Any], patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Nobody else migrates the database that the connection parameters name while the block runs.

    The lock is of a transaction on a connection of its own, which stays open meanwhile: migrations commit on another.
    Raises EmbeddedError that says since when another process has had it.
    """
    with psycopg.connect(**parameters) as link:
        try:
            _take(link, patience_seconds)
        except LockNotAvailable as error:
            link.rollback()
            raise EmbeddedError(_told_by(link)) from error
        yield


def establish_role_settings(parameters: Mapping[str, Any]) -> bool:
    """Makes the database give the role its settings at each login; says whether any were missing until now.

    A role may change its own; in this database alone, so that nothing else of an administrator's is touched.
    """
    with psycopg.connect(**parameters, autocommit=True) as link:
        found = {row[0] for row in link.execute(_SET)}
        missing = {name: value for name, value in ROLE_SETTINGS.items() if f"{name}={value}" not in found}
        for name, value in missing.items():
            statement = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} TO {}")
            link.execute(statement.format(sql.Identifier(link.info.dbname), sql.Identifier(name), sql.Literal(value)))
    return bool(missing)


def _take(link: psycopg.Connection[Any], patience_seconds: float) -> None:
    # The transaction is idle while another connection migrates, which its role allows for seconds only.
    link.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    link.execute("SELECT set_config('lock_timeout', %s, true)", [f"{max(1, int(patience_seconds * 1000))}ms"])
    link.execute("SELECT pg_advisory_xact_lock(%s)", [AdvisoryLock.MIGRATION])


def _told_by(link: psycopg.Connection[Any]) -> str:
    since, pid = link.execute(_HOLDER, [AdvisoryLock.MIGRATION]).fetchone() or (None, "…")
    return _BUSY.format(since=f" since {since} UTC" if since else "", pid=pid)
