"""The gateway tells protocols apart by their first bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustercore.embedded.domain.protocols import LONGEST_HEAD, Protocol, protocol_of

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
STARTUP = struct.pack("!ii", 40, 3 << 16) + b"user\0clustercore\0\0"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (SSL_REQUEST, Protocol.POSTGRES),
        (struct.pack("!ii", 8, 80877104), Protocol.POSTGRES),
        (struct.pack("!iiii", 16, 80877102, 1, 2), Protocol.POSTGRES),
        (STARTUP, Protocol.POSTGRES),
        (struct.pack("!ii", 40, (3 << 16) + 2), Protocol.POSTGRES),
        (b"*1\r\n$4\r\nPING\r\n", Protocol.REDIS),
        (b"PING\r\n", Protocol.REDIS),
        (b"ping\n", Protocol.REDIS),
        (b"AUTH secret\r\n", Protocol.REDIS),
        (b"GET / HTTP/1.1\r\n", Protocol.WEB),
        (b"PUT /blobs/1 HTTP/", Protocol.WEB),
        (b"OPTIONS * HTTP/1.1", Protocol.WEB),
        (b"GET http://a/ HTTP", Protocol.WEB),
    ],
)
def test_a_known_protocol_is_told(head: bytes, expected: Protocol) -> None:
    assert protocol_of(head) is expected


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00",
        b"\0\0\0\x08\0\0\0\0",
        struct.pack("!ii", 2_000_000_000, 3 << 16),
        b"SSH-2.0-client",
        b"*x",
        b"GET key\r\n",
        b"PINGPONG",
        b"POST secret",
        b"\xff\xfe",
    ],
)
def test_anything_else_is_unknown(head: bytes) -> None:
    assert protocol_of(head) is Protocol.UNKNOWN


@pytest.mark.parametrize("head", [b"", b"\0", b"\0\0\0\x08\x04", b"*", b"P", b"PIN", b"GET", b"GET ", b"OPTIONS"])
def test_too_little_is_waited_for(head: bytes) -> None:
    assert protocol_of(head) is None


@given(st.binary(min_size=LONGEST_HEAD, max_size=64))
def test_the_longest_head_always_decides(head: bytes) -> None:
    assert protocol_of(head) is not None


@given(st.sampled_from([STARTUP, b"*3\r\n$3\r\nSET\r\n", b"AUTH something\r\n", b"DELETE /x HTTP/1.1\r\n"]), st.data())
def test_how_the_bytes_arrive_does_not_matter(message: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(message)))
    assert protocol_of(message[:cut]) in (None, protocol_of(message))
