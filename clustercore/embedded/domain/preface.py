"""How the gateway tells the web process who is behind a connection: one line before the first request.

The line holds a secret of the hub, so that nobody who reaches the web process in another way can claim an address.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

_WORD = b"CLUSTERCORE-PEER "
LONGEST_PREFACE = 200
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a connection began: who is behind it (None: whoever connected), and the bytes that follow."""

    peer: tuple[str, int] | None
    rest: bytes


class FalsePreface(Exception):
    """A line that claims an address without knowing the secret, or that cannot be read."""


def preface(secret: str, host: str, port: int) -> bytes:
    """The line for a connection from `host` and `port`."""
    return _WORD + f"{secret} {host} {port}\r\n".encode("ascii")


def opening_of(head: bytes, secret: str) -> Opening | None:
    """What a connection's first bytes say; None while more are needed to tell. Raises FalsePreface."""
    if not head.startswith(_WORD):
        return None if _WORD.startswith(head) else Opening(None, head)
    line, end, rest = head.partition(b"\r\n")
    if not end:
        if len(head) > LONGEST_PREFACE:
            raise FalsePreface
        return None
    words = line[len(_WORD) :].split(b" ")
    if len(words) != 3 or not hmac.compare_digest(words[0], secret.encode()) or not words[2].isdigit():
        raise FalsePreface
    return Opening((words[1].decode("ascii", "replace"), int(words[2])), rest)
