"""When has a connection through the gateway authenticated? Told from the bytes that pass, as they come.

Nothing is kept of what passes but a few bytes, however long a message is.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol as Interface

from clustercore.embedded.domain.protocols import Protocol

_LONGEST_REFUSAL = len(b"+RESET\r\n")
_ENCRYPTED = b"SG"
"""PostgreSQL's answers to who asks for TLS or GSSAPI: what follows cannot be read."""


class Stage(Enum):
    """How far a connection has come; the value is what many of them are called."""

    NEWCOMER = "newcomers"
    ENCRYPTED = "connections that began to encrypt"
    """Whether it authenticates cannot be seen."""
    SETTLED = "connections"


class Login(Interface):
    """The watcher of one connection."""

    said_by_client: bool
    """Whether it wants to see what the client says; else, what the server says."""

    def stage_after(self, data: bytes) -> Stage:
        """How far the connection has come, now that this has passed too."""
        ...


def login_of(protocol: Protocol) -> Login:
    """A new watcher for a connection of this protocol."""
    if protocol is Protocol.POSTGRES:
        return PostgresLogin()
    return RedisLogin() if protocol is Protocol.REDIS else RequestHead()


class PostgresLogin:
    """The server says `AuthenticationOk`: a message of type R whose content is a zero.

    Before it come messages of other kinds, and single letters that answer requests for encryption. An N may be either;
    the length that follows a message's type begins with a zero byte, and no letter does.
    """

    said_by_client = False

    def __init__(self) -> None:
        self._pending = b""
        self._skip = 0

    def stage_after(self, data: bytes) -> Stage:
        """Settled once the server has said so; encrypted when it agreed to that."""
        self._pending += data
        while True:
            skipped = min(self._skip, len(self._pending))
            self._pending, self._skip = self._pending[skipped:], self._skip - skipped
            if self._pending[:1] and self._pending[:1] in _ENCRYPTED:
                return Stage.ENCRYPTED
            if len(self._pending) < 2:
                return Stage.NEWCOMER
            if self._pending[0:1] == b"N" and self._pending[1] != 0:
                self._skip = 1
            elif len(self._pending) < 9:
                return Stage.NEWCOMER
            elif self._pending[0:1] == b"R" and not any(self._pending[5:9]):
                return Stage.SETTLED
            else:
                self._skip = 1 + max(4, int.from_bytes(self._pending[1:5], "big"))


class RedisLogin:
    """The server's first reply that is neither an error nor `+RESET`: without its password it gives no other."""

    said_by_client = False

    def __init__(self) -> None:
        self._line = b""

    def stage_after(self, data: bytes) -> Stage:
        """Settled once the server has taken a command."""
        for part in data.splitlines(keepends=True):
            self._line = (self._line + part)[:_LONGEST_REFUSAL]
            if self._line[:1] != b"-" and not b"+RESET\r\n".startswith(self._line):
                return Stage.SETTLED
            if part.endswith(b"\n"):
                self._line = b""
        return Stage.NEWCOMER


class RequestHead:
    """A whole head of a request has come: whoever holds the web process's attention has asked for something."""

    said_by_client = True

    def __init__(self) -> None:
        self._tail = b""

    def stage_after(self, data: bytes) -> Stage:
        """Settled once an empty line has come."""
        seen = self._tail + data
        self._tail = seen[-2:]
        return Stage.SETTLED if b"\n\r\n" in seen or b"\n\n" in seen else Stage.NEWCOMER
