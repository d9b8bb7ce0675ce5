"""A private PgBouncer in transaction mode: every transaction may find itself on another connection to the server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import psycopg

from clustercore.embedded.adapters.directories import layout_of
from clustercore.embedded.domain.endpoints import Endpoints

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
ABSENT = "PgBouncer is not installed (apt install pgbouncer)"
PORT = 6432
SERVER_CONNECTIONS = 4
_START_SECONDS = 20.0
# In turn, so that even a lone client changes its connection with every transaction.
_CONFIGURATION = """
[databases]
* = host={server_directory} port={server_port} min_pool_size={connections}
[pgbouncer]
pool_mode = transaction
default_pool_size = {connections}
server_round_robin = 1
max_client_conn = 200
auth_type = scram-sha-256
auth_file = {directory}/users
unix_socket_dir = {directory}
listen_port = {port}
logfile = {directory}/log
"""


@contextmanager
def running_pooler(endpoints: Endpoints) -> Iterator[str]:
    """The URL under which a PgBouncer of the block's own leads to the embedded PostgreSQL."""
    owner = endpoints.data_dir.joinpath("postgres").stat()
    directory = Path(tempfile.mkdtemp(prefix="clustercore-pooler-"))
    os.chown(directory, owner.st_uid, owner.st_gid)
    try:
        url = _configure(directory, endpoints.database_url)
        for path in directory.iterdir():
            os.chown(path, owner.st_uid, owner.st_gid)
        process = _start(directory, owner)
        try:
            _wait_for(url, process, directory / "log")
            yield url
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _configure(directory: Path, database_url: str) -> str:
    parts = urlsplit(database_url)
    query = parse_qs(parts.query)
    text = _CONFIGURATION.format(
        directory=directory,
        port=PORT,
        server_directory=query["host"][0],
        server_port=query["port"][0],
        connections=SERVER_CONNECTIONS,
    )
    (directory / "configuration").write_text(text)
    (directory / "users").write_text(f'"{parts.username}" "{unquote(parts.password or "")}"\n')
    place = urlencode({"host": str(directory), "port": PORT})
    return f"postgresql://{parts.username}:{parts.password}@{parts.path}?{place}"


def _start(directory: Path, owner: os.stat_result) -> subprocess.Popen[bytes]:
    """As the account of the servers: PgBouncer refuses to be root, and their socket is closed to others."""
    identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [str(PROGRAM), "--quiet", str(directory / "configuration")], cwd=directory, **identity
    )


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace") if log.exists() else ""
                raise RuntimeError(f"PgBouncer does not serve ({error}):\n{said}") from error
        time.sleep(0.05)


def collisions(endpoints: Endpoints) -> int:
    """How often the server was asked for what another session has, or never had: prepared statements and cursors."""
    log = layout_of(endpoints.data_dir).logs / "postgres.log"
    said = log.read_text(errors="replace")
    return len(re.findall(r'ERROR:  (?:prepared statement|cursor) ".*" (?:already exists|does not exist)', said))
