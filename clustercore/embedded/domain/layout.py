"""Where everything lies inside a data directory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel's limit is 108 on Linux and 104 on macOS, the terminating zero included."""

POSTGRES_PORT = 5432
"""Only part of the socket's name: the embedded PostgreSQL does not listen on TCP."""

TEMPORARY_DIRECTORY = Path("/tmp")
"""Not TMPDIR: every process must come to the same path."""

_DEEPEST_SOCKET = f"postgres/.s.PGSQL.{POSTGRES_PORT}.lock"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one data directory, which must be absolute."""

    data_dir: Path

    @property
    def secrets(self) -> Path:
        return self.data_dir / "secrets"

    @property
    def run(self) -> Path:
        return self.data_dir / "run"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def backups(self) -> Path:
        """Dumps of the database, each made before a new version changed its tables."""
        return self.data_dir / "backups"

    @property
    def setup_link(self) -> Path:
        """What is kept of the link that makes the first administrator; there until somebody has used it."""
        return self.secrets / "setup"

    @property
    def blobs(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def postgres_data(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def redis_data(self) -> Path:
        return self.data_dir / "redis"

    @property
    def sockets(self) -> Path:
        """`<data_dir>/run`, or a short private directory named by a hash where that is too long for a socket."""
        if len(bytes(self.run / _DEEPEST_SOCKET)) <= LONGEST_SOCKET_PATH:
            return self.run
        digest = hashlib.sha256(bytes(self.data_dir)).hexdigest()[:16]
        return TEMPORARY_DIRECTORY / f"clustercore-{digest}"

    @property
    def control_socket(self) -> Path:
        return self.sockets / "supervisor.sock"

    @property
    def postgres_socket_directory(self) -> Path:
        return self.sockets / "postgres"

    @property
    def postgres_socket(self) -> Path:
        return self.postgres_socket_directory / f".s.PGSQL.{POSTGRES_PORT}"

    @property
    def redis_socket_directory(self) -> Path:
        return self.sockets / "redis"

    @property
    def redis_socket(self) -> Path:
        return self.redis_socket_directory / "redis.sock"

    @property
    def supervisor_lock(self) -> Path:
        return self.run / "supervisor.lock"

    @property
    def start_lock(self) -> Path:
        return self.run / "start.lock"

    @property
    def pg_hba(self) -> Path:
        return self.run / "pg_hba.conf"
