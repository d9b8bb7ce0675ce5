"""The web process: the admin, blobs and health, served by uvicorn."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import uvicorn

from clustercore.config.interpreter import PACKAGE_ROOT, python_command

APPLICATION = "clustercore.project.asgi:application"
_SHUTDOWN_SECONDS = 10
_KEEP_ALIVE_SECONDS = 30
_MOST_SOCKET_BYTES = 16_384
"""Of one message that a page sends; what it gets may be longer."""


def server(*, host: str = "127.0.0.1", port: int = 0, unix_socket: Path | None = None) -> uvicorn.Server:
    """A server that is not running yet, on host and port or on a unix socket. `serve()` of it is a coroutine,
    `run()` blocks, and setting `should_exit` ends either."""
    config = uvicorn.Config(
        APPLICATION,
        host=host,
        port=port,
        uds=str(unix_socket) if unix_socket else None,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # uvicorn would believe X-Forwarded-For from loopback, which is where the gateway's strangers come from.
        proxy_headers=False,
        ws_max_size=_MOST_SOCKET_BYTES,
        # Compression would cost every watcher some hundred kilobytes and a share of a processor.
        ws_per_message_deflate=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def serve(*, host: str = "127.0.0.1", port: int = 0, unix_socket: Path | None = None) -> None:
    """Serves until SIGTERM or SIGINT; requests in hand get ten seconds. SystemExit if the address is taken."""
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal anew once it has shut down; by default that would end this process with an error.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server(host=host, port=port, unix_socket=unix_socket).run()


def command(*, host: str = "127.0.0.1", port: int = 0, unix_socket: Path | None = None) -> list[str]:
    """The same as a command line for a process of its own."""
    where = ["--uds", str(unix_socket)] if unix_socket else ["--host", host, "--port", str(port)]
    options = ["--lifespan", "off", "--no-access-log", "--no-server-header", "--no-proxy-headers"]
    seconds = ["--timeout-keep-alive", str(_KEEP_ALIVE_SECONDS), "--timeout-graceful-shutdown", str(_SHUTDOWN_SECONDS)]
    sockets = ["--ws-max-size", str(_MOST_SOCKET_BYTES), "--ws-per-message-deflate", "false"]
    # By default uvicorn puts the current directory first on the path.
    return python_command(
        "-m", "uvicorn", APPLICATION, "--app-dir", str(PACKAGE_ROOT), *where, *options, *sockets, *seconds
    )
