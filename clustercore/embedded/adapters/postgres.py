"""The embedded PostgreSQL: made once, reached by its unix socket only, and by password only."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psycopg

from clustercore.embedded.adapters import secrets
from clustercore.embedded.adapters.binaries import PostgresTree, postgres_tree
from clustercore.embedded.adapters.processes import CHILD_ENVIRONMENT
from clustercore.embedded.adapters.program import Program
from clustercore.embedded.adapters.program_process import LOG
from clustercore.embedded.domain.accounts import Account, identity_of
from clustercore.embedded.domain.endpoints import DATABASE, ROLE, embedded_database_url
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import POSTGRES_PORT, Layout

_HOST_RULES = f"local all {ROLE} scram-sha-256\n"
"""Nobody else can log in at all; what comes through the gateway arrives on this socket too."""

MOST_CONNECTIONS = 300
"""The gateway lets in far fewer: see `domain/admission.py`."""

_EXTENSIONS = ("vector",)
"""What only a superuser may create. Vectors (pgvector) are compared where the texts are."""

_LOGIN_SECONDS = 15
_SHARED_MEMORY = Path("/dev/shm")
_LEAST_SHARED_MEMORY = 256 * 1024 * 1024


def postgres_program(layout: Layout, account: Account | None) -> Program:
    """Find the programs, make the database where it is missing, and say how to run it. Raises EmbeddedError."""
    tree = postgres_tree(layout, account)
    _initialize(layout, tree, account)
    _provision(layout, tree, account, layout.postgres_data)
    return Program(
        name="PostgreSQL",
        prepare=lambda: (_prepared(layout, tree, account), b""),
        probe=lambda: _answers(layout),
        stop_signals=((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)),
        log=layout.logs / "postgres.log",
        environment=CHILD_ENVIRONMENT,
        directory=layout.postgres_data,
        account=account,
        process_names=frozenset({"postgres"}),
        gives_up=True,
        tells_of_shortage=True,
    )


def _prepared(layout: Layout, tree: PostgresTree, account: Account | None) -> list[str]:
    """Called when no process of this database is left: a postmaster.pid is stale whatever its number says."""
    (layout.postgres_data / "postmaster.pid").unlink(missing_ok=True)
    for name in (layout.postgres_socket, layout.postgres_socket.with_name(layout.postgres_socket.name + ".lock")):
        name.unlink(missing_ok=True)
    _write_host_rules(layout, account)
    settings = {
        "listen_addresses": "",
        "port": str(POSTGRES_PORT),
        "unix_socket_directories": _quoted(str(layout.postgres_socket_directory)),
        "unix_socket_permissions": "0700",
        "hba_file": str(layout.pg_hba),
        "password_encryption": "scram-sha-256",
        "max_connections": str(MOST_CONNECTIONS),
        "authentication_timeout": str(_LOGIN_SECONDS),
        "fsync": "on",
        # Both wake by the clock, and a ledger that does nothing has no work for them; every commit is flushed as ever.
        "bgwriter_delay": "1s",
        "wal_writer_delay": "1s",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_line_prefix": "%m [%p] %u@%d ",
        "dynamic_shared_memory_type": _shared_memory_type(),
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [tree.program("postgres"), "-D", str(layout.postgres_data), *options]


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"'


def _write_host_rules(layout: Layout, account: Account | None) -> None:
    secrets.replace(layout.pg_hba, _HOST_RULES)
    if account is not None:
        os.chown(layout.pg_hba, account.uid, account.gid)


def _shared_memory_type() -> str:
    """A bare root directory has no /dev/shm, and a container may have a very small one."""
    try:
        status, space = _SHARED_MEMORY.stat(), os.statvfs(_SHARED_MEMORY)
    except OSError:
        return "mmap"
    usable = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IWOTH
    return "posix" if usable and space.f_bavail * space.f_frsize >= _LEAST_SHARED_MEMORY else "mmap"


def _initialize(layout: Layout, tree: PostgresTree, account: Account | None) -> None:
    """A new database appears under its name only when it is complete."""
    if (layout.postgres_data / "PG_VERSION").is_file():
        return
    unfinished = layout.data_dir / ".postgres-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if account is not None:
        os.chown(unfinished, account.uid, account.gid)
    command = [tree.program("initdb"), "-D", str(unfinished), "--username=postgres", "--auth=reject"]
    command += ["--encoding=UTF8", "--data-checksums", "--no-instructions", *_locale_options(tree.major)]
    _run(command, account, unfinished)
    _provision(layout, tree, account, unfinished)
    unfinished.rename(layout.postgres_data)


def _locale_options(major: int) -> list[str]:
    """From 17 on PostgreSQL brings its own C.UTF-8, the same on every system."""
    if major < 17:
        return ["--locale=C"]
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


def _provision(layout: Layout, tree: PostgresTree, account: Account | None, data: Path) -> None:
    """Make the role, the database and its extensions, and again when the password or the extensions are new.

    Single-user mode needs no password and no listening server, so that the superuser never gets to log in.
    """
    password = secrets.password(layout.secrets / "postgres")
    extensions = [name for name in _EXTENSIONS if tree.brings(name)]
    mark = hashlib.sha256(" ".join([password, *extensions]).encode()).hexdigest()
    done = layout.secrets / "postgres.provisioned"
    if data == layout.postgres_data and done.is_file() and done.read_text(encoding="ascii").strip() == mark:
        return
    literal = "'" + password.replace("'", "''") + "'"
    rights = f"LOGIN NOSUPERUSER CREATEDB PASSWORD {literal}"
    create = [f"CREATE EXTENSION IF NOT EXISTS {name}" for name in extensions]
    role = [
        f"DO $$BEGIN CREATE ROLE {ROLE} {rights}; "
        f"EXCEPTION WHEN duplicate_object THEN ALTER ROLE {ROLE} {rights}; END$$",
        f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
    ]
    (data / "postmaster.pid").unlink(missing_ok=True)
    # The template first: databases that the role makes later have its extensions.
    for database, statements in (("template1", create + role), (DATABASE, create)):
        if statements:
            _run_alone(tree, account, data, database, statements)
    for missing in sorted(set(_EXTENSIONS) - set(extensions)):
        LOG.warning("this PostgreSQL brings no extension %s: what needs it will say so", missing)
    secrets.replace(done, mark)


def _run_alone(tree: PostgresTree, account: Account | None, data: Path, database: str, statements: list[str]) -> None:
    """A statement that fails, because what it makes is there, keeps none of the others from running."""
    command = [tree.program("postgres"), "--single", "-D", str(data), "-c", "log_min_messages=fatal"]
    command += ["-c", f"dynamic_shared_memory_type={_shared_memory_type()}", database]
    _run(command, account, data, "\n".join(statements) + "\n")


def _run(command: list[str], account: Account | None, directory: Path, text: str = "") -> None:
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=CHILD_ENVIRONMENT,
        umask=0o077,
        **identity_of(account),
    )
    if done.returncode != 0:
        raise EmbeddedError(f"{Path(command[0]).name} failed in {directory}: {(done.stderr or done.stdout).strip()}")


async def _answers(layout: Layout) -> bool:
    password = secrets.password(layout.secrets / "postgres")
    url = embedded_database_url(layout.postgres_socket_directory, POSTGRES_PORT, password)
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=2)
        await connection.close()
    except psycopg.Error:
        return False
    return True
