"""How the web process is started, for who starts it and needs nothing of it."""

from __future__ import annotations

from pathlib import Path

from clustercore.config.interpreter import python_command

_SERVE = "import sys; from clustercore.project.web import serve_as_told; serve_as_told(sys.argv[1:])"


def command(*, host: str = "127.0.0.1", port: int = 0, unix_socket: Path | None = None) -> list[str]:
    """Returns `web.serve` as the command line of a process of its own, which says in words what it does."""
    where = [str(unix_socket)] if unix_socket else [host, str(port)]
    return python_command("-c", _SERVE, *where)
