"""The web process: the admin, blobs and health, served by uvicorn."""

from __future__ import annotations

import asyncio
import logging.config
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from uvicorn.config import LOGGING_CONFIG
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from clustercore.config.environment import environment
from clustercore.embedded.domain.preface import FalsePreface, opening_of
from clustercore.embedded.selectors import gateway_secret, signing_key
from clustercore.project.web_command import command

__all__ = ["GatewayProtocol", "command", "serve", "serve_as_told", "server", "take_signing_key"]

APPLICATION = "clustercore.project.asgi:application"
_SHUTDOWN_SECONDS = 10
_KEEP_ALIVE_SECONDS = 30
_MOST_SOCKET_BYTES = 16_384
"""Of one message that a page sends; what it gets may be longer."""
_DATE_SECONDS = 1.0


class Server(uvicorn.Server):
    """uvicorn's, which looks ten times a second whether it should end: this one is told. What remains to be done each
    second is the date in its answers."""

    _should_exit = False
    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        self._told = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Setting it, in any thread or signal handler, ends the server at once."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            while not await self.on_tick(0):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_DATE_SECONDS):
                        await self._told.wait()
        finally:
            self._loop = None


def server(*, host: str = "127.0.0.1", port: int = 0, unix_socket: Path | None = None) -> Server:
    """A server that is not running yet, on host and port or on a unix socket. `serve()` of it is a coroutine,
    `run()` blocks, and setting `should_exit` ends either."""
    config = uvicorn.Config(
        APPLICATION,
        http=GatewayProtocol,
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
    return Server(config)


def serve(*, host: str = "127.0.0.1", port: int = 0, unix_socket: Path | None = None) -> None:
    """Serves until SIGTERM or SIGINT; requests in hand get ten seconds. SystemExit if the address is taken."""
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal anew once it has shut down; by default that would end this process with an error.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server(host=host, port=port, unix_socket=unix_socket).run()


def serve_as_told(words: Sequence[str]) -> None:
    """What `command` starts: a unix socket's path, or a host and a port."""
    logging.config.dictConfig(LOGGING_CONFIG)
    if len(words) == 1:
        serve(unix_socket=Path(words[0]))
    else:
        serve(host=words[0], port=int(words[1]))


def take_signing_key() -> None:
    """Gives this process what sessions are signed with: one that serves pages, before its first request."""
    settings.SECRET_KEY = environment().secret_key or signing_key(environment().data_dir)


@lru_cache(maxsize=1)
def secret_of_preface() -> str:
    """What the gateway says to be believed about who is behind a connection."""
    return gateway_secret(environment().data_dir)


class GatewayProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """HTTP behind the gateway, which says in a line of its own who is behind each connection; without it, as ever.

    A head that does not come to its end closes the connection: uvicorn would wait for it for ever.
    """

    head_seconds = 10.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._opening: bytes | None = b""
        self._deadline: asyncio.TimerHandle | None = None
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self._opening is not None:
            data = self._after_opening(self._opening + data)
        if data:
            super().data_received(data)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _after_opening(self, head: bytes) -> bytes:
        """What follows the gateway's line, as far as it has come."""
        try:
            opening = opening_of(head, secret_of_preface())
        except FalsePreface:
            self.transport.close()
            return b""
        if opening is None:
            self._opening = head
            return b""
        self._opening = None
        if opening.peer is not None:
            self.client = opening.peer
        return opening.rest

    def _expect_head(self) -> None:
        """Begins to count when a head has begun, and not anew with each byte of it."""
        if self._has_request() or self.transport.get_protocol() is not self:
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._close_unless_asked)

    def _close_unless_asked(self) -> None:
        if not self._has_request():
            self.transport.close()

    def _has_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
