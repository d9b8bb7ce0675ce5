"""Strangers without credentials, who hold on to the one port."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

PARAMETERS = b"user\0clustercore\0database\0clustercore\0\0"
BEGINNINGS = (
    b"",
    struct.pack("!ii", 8 + len(PARAMETERS), 3 << 16) + PARAMETERS,
    b"PING ",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


@contextmanager
def strangers(address: tuple[str, int], count: int) -> Iterator[None]:
    """So many connections that say what they can say without a password, and stay."""
    with ExitStack() as held:
        for number in range(count):
            connection = held.enter_context(socket.create_connection(address, timeout=10))
            # Who is shown out at once has no more to say.
            with suppress(ConnectionError):
                connection.sendall(BEGINNINGS[number % len(BEGINNINGS)])
        yield
