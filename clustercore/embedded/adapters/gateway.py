"""One TCP port in front of PostgreSQL, Redis and the web process, for nodes on other machines.

It looks at a connection's first bytes, opens one to the server meant, and copies both ways. Who may do what is decided
by the servers: each of them asks for its password however a connection came. The gateway only sees to it that whoever
has not given one holds no more than a share, and not for long (`domain/admission.py`).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from clustercore.embedded.adapters.descriptors import descriptor_limit
from clustercore.embedded.adapters.postgres import MOST_CONNECTIONS
from clustercore.embedded.domain.admission import ENCRYPTED, NEWCOMERS, SETTLED, Admission, Quota, Visit
from clustercore.embedded.domain.endpoints import Endpoints, public_database_url, public_redis_url
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.logins import Stage, login_of
from clustercore.embedded.domain.preface import preface
from clustercore.embedded.domain.protocols import LONGEST_HEAD, Protocol, protocol_of
from clustercore.embedded.domain.refusals import Refusals
from clustercore.embedded.domain.server_urls import parse_database_url

LOG = logging.getLogger("clustercore.embedded.gateway")
BUFFER_BYTES = 65_536
CONNECT_SECONDS = 5.0
FINISH_SECONDS = 30.0
REPORT_SECONDS = 60.0
BACKLOG = 256
SPARE_DESCRIPTORS = 300
"""For everything else that this process opens, and for the newcomers that are accepted before others have gone."""

POOLER_LOGIN_SECONDS = 60.0
"""So long PgBouncer waits for a login unless it is told otherwise, and PostgreSQL too."""

_SPARE_LOGIN_SECONDS = 15.0
_FEWEST_CONNECTIONS = 16
_WANT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_POLL_SECONDS = 0.5
_END_SECONDS = 10.0
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Watch = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket's path, or a host and a port."""

    host: str = "127.0.0.1"
    port: int = 0
    path: str | None = None
    preface_secret: str | None = None
    """Given, each connection there begins with a line that names the client: see `domain/preface.py`."""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """How long a newcomer may take to authenticate, in seconds, and how many connections there may be at once."""

    login_seconds: float = 10.0
    encrypted_seconds: float = POOLER_LOGIN_SECONDS + _SPARE_LOGIN_SECONDS
    """Longer than the server waits for a login: what is there afterwards has authenticated."""
    connections: int = 1000
    newcomers: Mapping[Protocol, Quota] = field(default_factory=lambda: NEWCOMERS)
    encrypted: Mapping[Protocol, Quota] = field(default_factory=lambda: ENCRYPTED)
    settled: Mapping[Protocol, Quota] = field(default_factory=lambda: SETTLED)

    @classmethod
    def for_database(cls, connections: int, login_seconds: float) -> GatewayLimits:
        """For a PostgreSQL that takes so many connections, and waits so long for a login."""
        share = min(1.0, connections / MOST_CONNECTIONS)
        newcomers, encrypted, settled = (
            {**quotas, Protocol.POSTGRES: quotas[Protocol.POSTGRES].scaled(share)}
            for quotas in (NEWCOMERS, ENCRYPTED, SETTLED)
        )
        patience = max(POOLER_LOGIN_SECONDS, login_seconds) + _SPARE_LOGIN_SECONDS
        return cls(encrypted_seconds=patience, newcomers=newcomers, encrypted=encrypted, settled=settled)

    def admission(self) -> Admission:
        """An empty book with these limits, and no more connections than there are descriptors for."""
        possible = max(_FEWEST_CONNECTIONS, (descriptor_limit() - SPARE_DESCRIPTORS) // 2)
        return Admission(min(self.connections, possible), self.newcomers, self.encrypted, self.settled)


Upstreams = dict[Protocol, Address]


def upstreams_of(endpoints: Endpoints, web: Address) -> Upstreams:
    """Where the gateway leads: to these endpoints' servers and to the web process. Raises EmbeddedError."""
    database, redis = parse_database_url(endpoints.database_url), urlsplit(endpoints.redis_url)
    if not database.is_one_server:
        raise EmbeddedError(
            "--listen leads to one PostgreSQL, and DATABASE_URL names several: start without --listen, and give other "
            "machines the DATABASE_URL and REDIS_URL of this one."
        )
    if redis.scheme == "rediss":
        raise EmbeddedError(
            "--listen does not lead to a Redis that is reached by TLS: start without --listen, and give other machines "
            "the DATABASE_URL and REDIS_URL of this one."
        )
    host, port = database.hosts or "127.0.0.1", int(database.ports or 5432)
    redis_path = unquote(redis.path) if redis.scheme == "unix" else None
    path = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else None
    return {
        Protocol.POSTGRES: Address(host, port, path),
        Protocol.REDIS: Address(redis.hostname or "127.0.0.1", redis.port or 6379, redis_path),
        Protocol.WEB: web,
    }


def public_urls(endpoints: Endpoints, host: str, port: int) -> tuple[str, str]:
    """DATABASE_URL and REDIS_URL for a node that reaches the gateway at `host` and `port`."""
    return (
        public_database_url(endpoints.database_url, host, port),
        public_redis_url(endpoints.redis_url, host, port),
    )


@contextmanager
def running_gateway(
    host: str, port: int, upstreams: Upstreams, limits: GatewayLimits | None = None
) -> Iterator[tuple[str, int]]:
    """Serve on `host` and `port` (0: any free one) in a thread; yields the address. Raises EmbeddedError if taken."""
    with closing(_listener(host, port)) as listener:
        gateway = _Gateway(upstreams, limits or GatewayLimits())
        thread = threading.Thread(target=gateway.run, args=(listener,), name="gateway", daemon=True)
        thread.start()
        while not gateway.started.wait(_POLL_SECONDS):
            if not thread.is_alive():
                raise EmbeddedError("The gateway did not start; the log says why.")
        try:
            yield listener.getsockname()[:2]
        finally:
            gateway.stop()
            thread.join(_END_SECONDS)


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        raise EmbeddedError(f"Cannot listen on {host}:{port}: {error}. Choose another with --listen.") from error
    listener.setblocking(False)
    return listener


@dataclass(eq=False, slots=True)
class _Connection:
    """One client's connection and the one that was opened for it."""

    visit: Visit
    task: asyncio.Task[None]
    writers: list[asyncio.StreamWriter]
    deadline: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Drops it at once, with what is still on its way."""
        if self.deadline is not None:
            self.deadline.cancel()
        for writer in self.writers:
            writer.transport.abort()
        self.task.cancel()


class _Gateway:
    """The connections of one listening socket; lives in a thread and an event loop of its own."""

    def __init__(self, upstreams: Upstreams, limits: GatewayLimits) -> None:
        self.started = threading.Event()
        self._upstreams = upstreams
        self._limits = limits
        self._admission = limits.admission()
        self._connections: dict[Visit, _Connection] = {}
        self._refusals = Refusals()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    def run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    def stop(self) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end.set)

    async def _serve(self, listener: socket.socket) -> None:
        self._loop.set_exception_handler(self._on_error)
        server = await asyncio.start_server(self._accept, sock=listener, limit=BUFFER_BYTES, backlog=BACKLOG)
        self.started.set()
        while not self._end.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), REPORT_SECONDS)
            self._report()
        server.close()
        tasks = [connection.task for connection in self._connections.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Without descriptors asyncio pauses for a second, and would say so for each connection that waits."""
        error = context.get("exception")
        if isinstance(error, OSError):
            known = error.errno in _WANT
            self._refusals.count("for want of descriptors or memory" if known else f"because of {error}", "")
        else:
            loop.default_exception_handler(context)

    def _report(self) -> None:
        if said := self._refusals.take():
            LOG.warning("in the last minute: %s", said)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, peer = asyncio.current_task(), writer.get_extra_info("peername")
        if task is None or not peer:
            writer.transport.abort()
            return
        visit = Visit(peer[0])
        connection = self._connections[visit] = _Connection(visit, task, [writer])
        connection.deadline = self._loop.call_later(
            self._limits.login_seconds, self._close, visit, "too slow to authenticate"
        )
        self._make_room(self._admission.arrive(visit))
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._connect_through(connection, (reader, writer))
        finally:
            await _finish(writer)
            connection.deadline.cancel()
            self._admission.leave(visit)
            del self._connections[visit]

    async def _connect_through(self, connection: _Connection, client: Streams) -> None:
        _keep_alive(client[1])
        head, protocol = await _first_bytes(client[0])
        if protocol not in self._upstreams:
            self._refusals.count("of an unknown protocol", connection.visit.household)
            return
        self._make_room(self._admission.speak(connection.visit, protocol))
        address = self._upstreams[protocol]
        upstream = await _open(address)
        if upstream is None:
            self._refusals.count(f"because {protocol.value} cannot be reached", connection.visit.household)
            return
        connection.writers.append(upstream[1])
        try:
            upstream[1].write(_preface(address, client[1]))
            await _copy_both_ways(client, upstream, head, *self._watches(connection))
        finally:
            await _finish(upstream[1])

    def _watches(self, connection: _Connection) -> tuple[Watch, Watch]:
        """What is to be called with all that the client says, and with all that the server says."""
        login = login_of(connection.visit.protocol)

        def hear(data: bytes, *, by_client: bool) -> None:
            if connection.visit.stage is not Stage.NEWCOMER:
                self._admission.hear(connection.visit)
            elif by_client == login.said_by_client:
                self._advance(connection, login.stage_after(data))

        return lambda data: hear(data, by_client=True), lambda data: hear(data, by_client=False)

    def _advance(self, connection: _Connection, stage: Stage) -> None:
        if stage is Stage.NEWCOMER:
            return
        if connection.deadline is not None:
            connection.deadline.cancel()
        if stage is Stage.SETTLED:
            self._make_room(self._admission.settle(connection.visit))
        else:
            # The server ends whoever does not authenticate in time, and that can be seen from here.
            connection.deadline = self._loop.call_later(
                self._limits.encrypted_seconds, self._advance, connection, Stage.SETTLED
            )
            self._make_room(self._admission.encrypt(connection.visit))

    def _make_room(self, leaving: Visit | None) -> None:
        if leaving is not None:
            self._close(leaving, f"too many {leaving.stage.value} ({leaving.protocol.value})")

    def _close(self, visit: Visit, reason: str) -> None:
        self._admission.leave(visit)
        self._refusals.count(reason, visit.household)
        if visit in self._connections:
            self._connections[visit].close()


async def _first_bytes(reader: asyncio.StreamReader) -> tuple[bytes, Protocol]:
    """What came first, and what it is; an early end is unknown."""
    head = b""
    while chunk := await reader.read(LONGEST_HEAD):
        head += chunk
        if (protocol := protocol_of(head)) is not None:
            return head, protocol
    return head, Protocol.UNKNOWN


def _preface(address: Address, client: asyncio.StreamWriter) -> bytes:
    if address.preface_secret is None:
        return b""
    host, port = client.get_extra_info("peername")[:2]
    return preface(address.preface_secret, host, port)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """A machine that vanished is noticed within a minute."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _open(address: Address) -> Streams | None:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(CONNECT_SECONDS):
            if address.path is not None:
                return await asyncio.open_unix_connection(address.path, limit=BUFFER_BYTES)
            return await asyncio.open_connection(address.host, address.port, limit=BUFFER_BYTES)
    return None


async def _copy_both_ways(client: Streams, upstream: Streams, head: bytes, outgoing: Watch, incoming: Watch) -> None:
    """Until the server has said everything; a client that said everything may still wait for answers."""
    outgoing(head)
    upstream[1].write(head)
    outward = asyncio.create_task(_copy(client[0], upstream[1], outgoing))
    inward = asyncio.create_task(_copy(upstream[0], client[1], incoming))
    try:
        await asyncio.wait((outward, inward), return_when=asyncio.FIRST_COMPLETED)
        if outward.done() and outward.exception() is None:
            await inward
    finally:
        outward.cancel()
        inward.cancel()
        await asyncio.gather(outward, inward, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watch: Watch) -> None:
    """Pass bytes on no faster than they are taken, then pass on the end."""
    while chunk := await reader.read(BUFFER_BYTES):
        watch(chunk)
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def _finish(writer: asyncio.StreamWriter) -> None:
    """Let what is buffered out, but not for ever."""
    writer.close()
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.CancelledError):
        writer.transport.abort()
