"""The line with which the gateway says who is behind a connection."""

from __future__ import annotations

import pytest

from clustercore.embedded.domain.preface import (
    LONGEST_PREFACE,
    FalsePreface,
    Opening,
    opening_of,
    preface,
)

SECRET = "a-secret"
REQUEST = b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_what_the_gateway_says_is_read(host: str) -> None:
    assert opening_of(preface(SECRET, host, 4711) + REQUEST, SECRET) == Opening((host, 4711), REQUEST)


def test_a_connection_without_the_line_is_taken_as_it_is() -> None:
    assert opening_of(REQUEST, SECRET) == Opening(None, REQUEST)


def test_it_does_not_matter_in_how_many_pieces_the_line_comes() -> None:
    line = preface(SECRET, "192.0.2.1", 4711)
    assert [opening_of(line[:length], SECRET) for length in range(len(line))] == [None] * len(line)
    assert opening_of(line, SECRET) == Opening(("192.0.2.1", 4711), b"")


@pytest.mark.parametrize(
    "line",
    [
        preface("another-secret", "192.0.2.1", 1),
        b"CLUSTERCORE-PEER \r\n",
        b"CLUSTERCORE-PEER 192.0.2.1 1\r\n",
        preface(SECRET, "192.0.2.1", 1).replace(b" 1\r", b" x\r"),
        b"CLUSTERCORE-PEER " + b"x" * LONGEST_PREFACE,
    ],
)
def test_a_line_that_knows_no_secret_ends_the_connection(line: bytes) -> None:
    with pytest.raises(FalsePreface):
        opening_of(line, SECRET)
