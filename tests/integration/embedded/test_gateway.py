"""One port in front of PostgreSQL, Redis and the web process."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import psycopg
import pytest
import redis

from clustercore.embedded.adapters.gateway import (
    Address,
    GatewayLimits,
    public_urls,
    running_gateway,
    upstreams_of,
)
from clustercore.embedded.domain.admission import Quota
from clustercore.embedded.domain.endpoints import Endpoints, database_settings
from clustercore.embedded.domain.protocols import Protocol
from clustercore.embedded.services import EmbeddedError
from tests.integration.embedded.servers import eventually

pytestmark = pytest.mark.services
BIG = bytes(range(256)) * 128 * 1024  # 32 MiB


class Echo(BaseHTTPRequestHandler):
    """Answers what it was sent, as a blob service does."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


class EchoServer(ThreadingHTTPServer):
    """Takes it calmly when a connection is cut."""

    def handle_error(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def web() -> Iterator[Address]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Address("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway(services: Endpoints, web: Address) -> Iterator[tuple[str, int]]:
    limits = GatewayLimits(connections=20)
    with running_gateway("127.0.0.1", 0, upstreams_of(services, web), limits) as address:
        yield address


def ends(connection: socket.socket) -> bool:
    """Whether the other side closed it without a word."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_all_three_protocols_pass_one_port(services: Endpoints, gateway: tuple[str, int]) -> None:
    database_url, redis_url = public_urls(services, *gateway)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT 6 * 7").fetchone() == (42,)
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
    assert httpx.put(f"http://{gateway[0]}:{gateway[1]}/blobs/x", content=b"bytes").content == b"bytes"


def test_a_connection_through_the_gateway_is_not_trusted(services: Endpoints, gateway: tuple[str, int]) -> None:
    database_url, redis_url = public_urls(services, *gateway)
    for wrong in ("clustercore:x", "postgres:"):
        with pytest.raises(psycopg.OperationalError, match=r"failed|pg_hba"):
            psycopg.connect(database_url.replace("clustercore:", wrong, 1))
    with redis.Redis.from_url(redis_url.replace("//:", "//:x")) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with redis.Redis(*gateway) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize(
    "junk", [b"SSH-2.0-x\r\n", b"\x16\x03\x01\x02\0\x01", b"\0\0\0\x08\0\0\0\0", b"GET secret\r\n"]
)
def test_junk_is_closed_without_an_answer(gateway: tuple[str, int], junk: bytes) -> None:
    with socket.create_connection(gateway) as connection:
        connection.sendall(junk)
        assert ends(connection)


PARAMETERS = b"user\0clustercore\0database\0clustercore\0\0"
STARTUP = struct.pack("!ii", 8 + len(PARAMETERS), 3 << 16) + PARAMETERS


@pytest.mark.parametrize("beginning", [b"", b"GE", b"\0\0", STARTUP, b"AUTH x\r\n", b"GET / HTTP/1.1\r\nX-Slow: "])
def test_who_has_not_authenticated_in_time_is_closed(services: Endpoints, web: Address, beginning: bytes) -> None:
    limits = GatewayLimits(login_seconds=0.3)
    with running_gateway("127.0.0.1", 0, upstreams_of(services, web), limits) as address:
        with socket.create_connection(address) as connection:
            connection.sendall(beginning)
            said = b"".join(iter(lambda: heard(connection), b""))
        assert not said or said[:1] in b"R-"


def test_who_has_authenticated_may_be_silent(services: Endpoints, web: Address) -> None:
    limits = GatewayLimits(login_seconds=1.5)
    with running_gateway("127.0.0.1", 0, upstreams_of(services, web), limits) as address:
        database_url, redis_url = public_urls(services, *address)
        with psycopg.connect(database_url) as connection, redis.Redis.from_url(redis_url) as client:
            assert client.ping()
            with socket.create_connection(address) as stranger:
                assert ends(stranger)
            assert connection.execute("SELECT 6 * 7").fetchone() == (42,)
            assert client.connection_pool.get_connection().can_read() is False


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option")
def test_what_a_node_sends_after_its_link_broke_is_given_up_within_the_time_of_a_lease(
    services: Endpoints, gateway: tuple[str, int]
) -> None:
    database_url, _ = public_urls(services, *gateway)
    options = database_settings(database_url, 1)["OPTIONS"]
    options.pop("pool")
    with (
        psycopg.connect(database_url, **options) as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as end,
    ):
        assert 0 < end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 20_000


HELD = {
    Protocol.UNKNOWN: b"",
    Protocol.POSTGRES: STARTUP,
    Protocol.REDIS: b"PING ",
    Protocol.WEB: b"GET / HTTP/1.1\r\nX:",
}


@pytest.mark.parametrize("protocol", HELD)
def test_an_address_that_is_full_of_strangers_still_lets_everybody_in(
    services: Endpoints, web: Address, protocol: Protocol
) -> None:
    with ExitStack() as held, running_gateway("127.0.0.1", 0, upstreams_of(services, web)) as address:
        for _ in range(300):
            stranger = held.enter_context(socket.create_connection(address))
            stranger.sendall(HELD[protocol])
        database_url, redis_url = public_urls(services, *address)
        with psycopg.connect(database_url) as connection, redis.Redis.from_url(redis_url) as client:
            assert connection.execute("SELECT 6 * 7").fetchone() == (42,)
            assert client.ping()
        assert answers_http(address)
        assert answers_http(address, local="127.0.0.2")


SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@contextmanager
def encrypting_server() -> Iterator[Address]:
    """Agrees to TLS, as a PostgreSQL that has it on, and says nothing more."""

    async def agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(SSL_REQUEST))
        writer.write(b"S")
        await reader.read()
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(agree, sock=listener):
            started.set()
            await end.wait()

    end, started = asyncio.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, asyncio.Runner() as runner:
        thread = threading.Thread(target=lambda: runner.run(serve()))
        thread.start()
        started.wait(5)
        yield Address("127.0.0.1", listener.getsockname()[1])
        runner.get_loop().call_soon_threadsafe(end.set)
        thread.join()


def test_who_only_began_to_encrypt_holds_no_place_of_those_who_authenticated() -> None:
    with encrypting_server() as server, ExitStack() as held:
        limits = GatewayLimits(encrypted={Protocol.POSTGRES: Quota(2, 2)})
        address = held.enter_context(running_gateway("127.0.0.1", 0, {Protocol.POSTGRES: server}, limits))
        strangers = [began_to_encrypt(held, address) for _ in range(5)]
        assert all(ends(stranger) for stranger in strangers[:3])


def test_who_outlives_the_servers_patience_has_authenticated() -> None:
    with encrypting_server() as server, ExitStack() as held:
        limits = GatewayLimits(login_seconds=0.1, encrypted_seconds=0.3, encrypted={Protocol.POSTGRES: Quota(1, 1)})
        address = held.enter_context(running_gateway("127.0.0.1", 0, {Protocol.POSTGRES: server}, limits))
        node = began_to_encrypt(held, address)
        with pytest.raises(TimeoutError):
            node.settimeout(1.0)
            node.recv(1)
        first, _ = began_to_encrypt(held, address), began_to_encrypt(held, address)
        assert ends(first)
        node.settimeout(0.3)
        with pytest.raises(TimeoutError):
            node.recv(1)


def began_to_encrypt(held: ExitStack, address: tuple[str, int]) -> socket.socket:
    connection = held.enter_context(socket.create_connection(address, timeout=5))
    connection.sendall(SSL_REQUEST)
    assert connection.recv(1) == b"S"
    return connection


def test_the_database_keeps_room_for_the_hub_itself(services: Endpoints, web: Address) -> None:
    with ExitStack() as held, running_gateway("127.0.0.1", 0, upstreams_of(services, web)) as address:
        for number in range(320):
            stranger = held.enter_context(
                socket.create_connection(address, source_address=(f"127.0.1.{1 + number // 2}", 0))
            )
            stranger.sendall(STARTUP)
        with psycopg.connect(services.database_url) as connection:
            few = "SELECT count(*) < 60 FROM pg_stat_activity WHERE backend_type = 'client backend'"
            assert eventually(lambda: connection.execute(few).fetchone() == (True,))


def heard(connection: socket.socket) -> bytes:
    connection.settimeout(5)
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_much_passes_unchanged_in_both_directions(services: Endpoints, gateway: tuple[str, int]) -> None:
    answer = httpx.put(f"http://{gateway[0]}:{gateway[1]}/blobs/x", content=BIG, timeout=30).content
    assert hashlib.sha256(answer).digest() == hashlib.sha256(BIG).digest()
    with redis.Redis.from_url(public_urls(services, *gateway)[1]) as client:
        client.set("big", BIG)
        assert client.get("big") == BIG
        client.delete("big")


def test_a_reader_that_does_not_read_holds_up_its_sender() -> None:
    """What the gateway and the kernel hold is far less than what the sender has to say."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstreams = {Protocol.WEB: Address("127.0.0.1", server.getsockname()[1])}
        with running_gateway("127.0.0.1", 0, upstreams) as address, socket.create_connection(address) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with closing(server.accept()[0]) as upstream:
                upstream.settimeout(1)
                taken = sent_until_blocked(upstream)
                assert taken < 512 * 1024 * 1024
                received = 0
                client.settimeout(5)
                while received < taken:
                    received += len(client.recv(1 << 20))
                assert received == taken


def sent_until_blocked(connection: socket.socket) -> int:
    block, sent = b"x" * (1 << 20), 0
    try:
        while sent < 512 * 1024 * 1024:
            sent += connection.send(block)
    except TimeoutError:
        pass
    return sent


def test_a_client_that_said_everything_still_gets_its_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstreams = {Protocol.REDIS: Address("127.0.0.1", server.getsockname()[1])}
        with running_gateway("127.0.0.1", 0, upstreams) as address, socket.create_connection(address) as client:
            client.sendall(b"PING\r\n")
            client.shutdown(socket.SHUT_WR)
            with closing(server.accept()[0]) as upstream, upstream.makefile("rb") as said:
                assert said.read() == b"PING\r\n"
                upstream.sendall(b"x" * 1_000_000)
            client.settimeout(5)
            with client.makefile("rb") as heard:
                assert len(heard.read()) == 1_000_000


def test_one_connection_too_many_closes_the_oldest_stranger(services: Endpoints, web: Address) -> None:
    upstreams, limits = upstreams_of(services, web), GatewayLimits(connections=2)
    with (
        running_gateway("127.0.0.1", 0, upstreams, limits) as address,
        psycopg.connect(public_urls(services, *address)[0]) as connection,
        socket.create_connection(address) as first,
        socket.create_connection(address) as second,
    ):
        assert ends(first)
        assert answers_http(address)
        assert ends(second)
        assert connection.execute("SELECT 6 * 7").fetchone() == (42,)


def answers_http(address: tuple[str, int], local: str = "127.0.0.1") -> bool:
    transport = httpx.HTTPTransport(local_address=local)
    try:
        with httpx.Client(transport=transport, timeout=10) as client:
            return client.put(f"http://{address[0]}:{address[1]}/", content=b"x").status_code == 200
    except httpx.TransportError:
        return False


def test_a_server_that_is_away_closes_its_connections_only(services: Endpoints) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = Address("127.0.0.1", taken.getsockname()[1])
    with running_gateway("127.0.0.1", 0, upstreams_of(services, nobody)) as address:
        with socket.create_connection(address) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert ends(connection)
        with redis.Redis.from_url(public_urls(services, *address)[1]) as client:
            assert client.ping()


def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"127.0.0.1:{port}.*--listen"), running_gateway("127.0.0.1", port, {}):
            pass


def test_the_gateway_ends_with_open_connections(services: Endpoints, web: Address) -> None:
    with running_gateway("127.0.0.1", 0, upstreams_of(services, web)) as address:
        link = psycopg.connect(public_urls(services, *address)[0])
    with pytest.raises(psycopg.OperationalError):
        link.execute("SELECT 1")
    link.close()


def test_several_postgresql_servers_are_refused_with_what_to_do(services: Endpoints) -> None:
    several = replace(services, database_url="postgresql://u:p@h1:5432,h2:5432/d")
    with pytest.raises(EmbeddedError, match="without --listen"):
        upstreams_of(several, Address("127.0.0.1", 1))


def test_a_redis_that_is_reached_by_tls_is_refused_with_what_to_do(services: Endpoints) -> None:
    by_tls = replace(services, redis_url="rediss://:p@h:6380/0?ssl_cert_reqs=required")
    with pytest.raises(EmbeddedError, match="TLS: start without --listen"):
        upstreams_of(by_tls, Address("127.0.0.1", 1))
