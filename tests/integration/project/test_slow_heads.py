"""Whoever is slow to say what they want holds no connection of the web process."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from clustercore.project.web import GatewayProtocol

HEAD_SECONDS = 0.5
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"


class Impatient(GatewayProtocol):
    """Waits for a head for less long."""

    head_seconds = HEAD_SECONDS


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body that came."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(echo, http=Impatient, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        with socket.create_connection(listener.getsockname(), timeout=10) as connection:
            yield connection
        server.should_exit = True
        thread.join()


def answer(client: socket.socket) -> bytes:
    """Up to the body of two letters; nothing if the connection ended."""
    said = b""
    while not said.endswith(b"ab") and (chunk := client.recv(4096)):
        said += chunk
    return said


@pytest.mark.parametrize("beginning", [b"", b"CLUSTERCORE-PEER ", HEAD])
def test_a_head_that_does_not_end_closes_the_connection(client: socket.socket, beginning: bytes) -> None:
    client.sendall(beginning)
    assert answer(client) == b""


def test_a_head_that_does_not_end_closes_a_connection_that_asked_before(client: socket.socket) -> None:
    client.sendall(HEAD + b"\r\nab")
    assert answer(client).startswith(b"HTTP/1.1 200")
    client.sendall(HEAD)
    assert answer(client) == b""


def test_a_head_that_dribbles_in_gets_no_more_time(client: socket.socket) -> None:
    client.settimeout(HEAD_SECONDS / 10)
    started = time.monotonic()
    with suppress(ConnectionError):
        for letter in itertools.chain(HEAD, itertools.repeat(ord("x"))):
            client.sendall(bytes([letter]))
            with suppress(TimeoutError):
                assert client.recv(1) == b""
                break
    assert HEAD_SECONDS / 2 < time.monotonic() - started < 20 * HEAD_SECONDS


def test_a_body_may_take_longer_than_a_head(client: socket.socket) -> None:
    client.sendall(HEAD + b"\r\na")
    client.settimeout(3 * HEAD_SECONDS)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.sendall(b"b")
    client.settimeout(10)
    assert answer(client).endswith(b"\r\n\r\nab")
