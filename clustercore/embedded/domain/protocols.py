"""Which protocol does a new connection speak? Told from its first bytes."""

from __future__ import annotations

from enum import Enum

LONGEST_HEAD = 16
"""Bytes after which every connection can be told."""

_REDIS_INLINE = (b"PING", b"AUTH", b"HELLO", b"ECHO", b"QUIT")
_HTTP_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
_POSTGRES_REQUESTS = (80877102, 80877103, 80877104)
"""Cancel, TLS and GSSAPI encryption."""
_POSTGRES_MAJOR = 3
_SHORTEST_STARTUP, _LONGEST_STARTUP = 8, 10_000


class Protocol(Enum):
    """What stands behind the one port."""

    POSTGRES = "postgres"
    REDIS = "redis"
    WEB = "web"
    UNKNOWN = "unknown"


def protocol_of(head: bytes) -> Protocol | None:
    """The protocol of a connection that began with `head`; None while more bytes are needed to tell."""
    if not head:
        return None
    if head[0] == 0:
        return _postgres(head)
    if head[:1] == b"*":
        return _redis_array(head)
    return _words(head)


def _postgres(head: bytes) -> Protocol | None:
    """A startup packet: its length, then a version of the protocol or a request code, in four bytes each."""
    if len(head) < 8:
        return None
    length, code = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    known = code >> 16 == _POSTGRES_MAJOR or code in _POSTGRES_REQUESTS
    return Protocol.POSTGRES if known and _SHORTEST_STARTUP <= length <= _LONGEST_STARTUP else Protocol.UNKNOWN


def _redis_array(head: bytes) -> Protocol | None:
    if len(head) < 2:
        return None
    return Protocol.REDIS if head[1:2].isdigit() else Protocol.UNKNOWN


def _words(head: bytes) -> Protocol | None:
    """`GET` is a word of Redis too, but no client of Redis writes a slash after it."""
    word, space, rest = head.partition(b" ")
    bare = word.partition(b"\r")[0].partition(b"\n")[0]
    if bare.upper() in _REDIS_INLINE and (space or len(bare) < len(word)):
        return Protocol.REDIS
    if word in _HTTP_METHODS and space:
        if not rest:
            return None
        return Protocol.WEB if rest[:1] in (b"/", b"*", b"h") else Protocol.UNKNOWN
    unfinished = any(name.startswith(head.upper()) for name in _REDIS_INLINE + _HTTP_METHODS)
    return None if unfinished and len(head) < LONGEST_HEAD else Protocol.UNKNOWN
