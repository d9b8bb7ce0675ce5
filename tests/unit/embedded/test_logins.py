"""When a connection has authenticated is told from what passes, however it is cut."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustercore.embedded.domain.logins import Stage, login_of
from clustercore.embedded.domain.protocols import Protocol


def message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(content)) + content


SASL = message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0")
CONTINUE = message(b"R", struct.pack("!i", 11) + b"r=nonce,s=salt,i=4096")
AUTHENTICATED = message(b"R", struct.pack("!i", 0))
NOTICE = message(b"N", b"SNOTICE\0R\0\0\0\x08\0\0\0\0\0")
REFUSED = message(b"E", b"SFATAL\0Mpassword authentication failed\0\0")
VERSION = message(b"v", struct.pack("!ii", 0, 0))

DONE = [
    (Protocol.POSTGRES, SASL + CONTINUE + AUTHENTICATED),
    (Protocol.POSTGRES, b"N" + SASL + CONTINUE + AUTHENTICATED),
    (Protocol.POSTGRES, b"NN" + VERSION + NOTICE + AUTHENTICATED),
    (Protocol.REDIS, b"+OK\r\n"),
    (Protocol.REDIS, b"-NOAUTH Authentication required.\r\n-WRONGPASS\r\n%7\r\n"),
    (Protocol.REDIS, b"+RESET\r\n*14\r\n"),
    (Protocol.WEB, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Protocol.WEB, b"GET / HTTP/1.1\nHost: a\n\n"),
]
NOT_DONE = [
    (Protocol.POSTGRES, b"S\x16\x03\x03\0\x7a\x02\0\0\x76"),
    (Protocol.POSTGRES, b"NS\x16\x03\x03\0\x7a\x02\0\0\x76"),
    (Protocol.POSTGRES, b"N" + SASL + CONTINUE),
    (Protocol.POSTGRES, SASL + NOTICE + REFUSED),
    (Protocol.REDIS, b"-NOAUTH +OK +OK\r\n-ERR unknown command\r\n-DENIED\r\n"),
    (Protocol.REDIS, b"+RESET\r\n+RESET\r\n"),
    (Protocol.WEB, b"GET / HTTP/1.1\r\nHost: a\r\nX: "),
]


def is_done(protocol: Protocol, chunks: Iterable[bytes]) -> bool:
    login = login_of(protocol)
    return Stage.SETTLED in [login.stage_after(chunk) for chunk in chunks]


def in_chunks(said: bytes, data: st.DataObject) -> list[bytes]:
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(said) - 1)))))
    return [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]


@given(st.sampled_from(DONE), st.data())
def test_who_has_authenticated_is_told(example: tuple[Protocol, bytes], data: st.DataObject) -> None:
    protocol, said = example
    assert is_done(protocol, in_chunks(said, data))


@given(st.sampled_from(NOT_DONE), st.data())
def test_who_has_not_authenticated_is_not(example: tuple[Protocol, bytes], data: st.DataObject) -> None:
    protocol, said = example
    assert not is_done(protocol, in_chunks(said, data))


@given(st.sampled_from([Protocol.POSTGRES, Protocol.REDIS, Protocol.WEB]), st.lists(st.binary(), min_size=1))
def test_nothing_that_passes_is_an_error(protocol: Protocol, chunks: list[bytes]) -> None:
    is_done(protocol, chunks)


@pytest.mark.parametrize("protocol", [Protocol.POSTGRES, Protocol.REDIS])
def test_passwords_are_judged_by_what_the_server_says(protocol: Protocol) -> None:
    assert not login_of(protocol).said_by_client
    assert login_of(Protocol.WEB).said_by_client


@pytest.mark.parametrize("said", [b"S", b"G", b"NS"])
def test_who_began_to_encrypt_has_not_authenticated_by_that(said: bytes) -> None:
    assert login_of(Protocol.POSTGRES).stage_after(said) is Stage.ENCRYPTED
