"""Copies of the embedded database, made before a new version changes its tables."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from clustercore.embedded.adapters.binaries import postgres_tree
from clustercore.embedded.adapters.processes import CHILD_ENVIRONMENT
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout

_NAME = "ledger-{moment}.dump"
_ANY = _NAME.format(moment="*")
_VARIABLES = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname", "PGPASSWORD": "password"}
_FAILED = (
    "the database could not be backed up before it is brought to this version: {error}. Make room in {directory}; or, "
    "with a copy of your own, set CLUSTERCORE_BACKUPS_KEPT=0"
)


def has_jobs(parameters: Mapping[str, Any]) -> bool:
    """Whether the database that the connection parameters name holds any job, of whatever version its tables are."""
    with psycopg.connect(**parameters) as link:
        if link.execute("SELECT to_regclass('jobs_job')").fetchone() == (None,):
            return False
        return link.execute("SELECT EXISTS (SELECT FROM jobs_job)").fetchone() == (True,)


def back_up(layout: Layout, parameters: Mapping[str, Any], keep: int) -> Path:
    """Dumps that database beside the others, and keeps the latest `keep`. Returns the file. Raises EmbeddedError."""
    target = layout.backups / _NAME.format(moment=datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ"))
    unfinished = layout.backups / ".unfinished"
    # The extensions are the superuser's: whoever restores finds them there.
    command = [postgres_tree(layout, None).program("pg_dump"), "--format=custom", "--no-owner", "--schema=public"]
    try:
        layout.backups.mkdir(mode=0o700, exist_ok=True)
        _run([*command, f"--file={unfinished}"], parameters)
        _flush(unfinished)
        unfinished.rename(target)
    except (OSError, subprocess.SubprocessError) as error:
        with suppress(OSError):
            unfinished.unlink()
        raise EmbeddedError(_FAILED.format(error=_reason(error), directory=layout.backups)) from error
    for older in sorted(layout.backups.glob(_ANY))[:-keep]:
        older.unlink()
    return target


def _flush(file: Path) -> None:
    """A power cut after the tables are changed must leave the copy of what they were."""
    with file.open("rb+") as dump:
        os.fsync(dump.fileno())


def _run(command: list[str], parameters: Mapping[str, Any]) -> None:
    named = {variable: str(parameters[name]) for variable, name in _VARIABLES.items() if parameters.get(name)}
    environment = CHILD_ENVIRONMENT | named
    subprocess.run(command, env=environment, capture_output=True, text=True, check=True, umask=0o077, cwd="/")


def _reason(error: Exception) -> str:
    said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else ""
    return said.partition("\n")[0] or str(error)
