"""When has a connection through the gateway authenticated? Told from the bytes that pass, as they come.

Nothing is kept of what passes but a few bytes, however long a message is.
"""

from __future__ import annotations

from typing import Protocol as Interface

from clustercore.embedded.domain.protocols import Protocol

_LONGEST_REFUSAL = len(b"+RESET\r\n")
_ENCRYPTED = b"SG"
"""PostgreSQL's answers to who asks for TLS or GSSAPI: what follows cannot be read."""


class Login(Interface):
    """The watcher of one connection."""

    said_by_client: bool
    """Whether it wants to see what the client says; else, what the server says."""

    def is_done_after(self, data: bytes) -> bool:
        """Whether the connection has authenticated, now that this has passed too."""
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

    def is_done_after(self, data: bytes) -> bool:
        """Whether the server has said so by now; also when it agreed to encrypt."""
        self._pending += data
        while True:
            skipped = min(self._skip, len(self._pending))
            self._pending, self._skip = self._pending[skipped:], self._skip - skipped
            if self._pending[:1] and self._pending[:1] in _ENCRYPTED:
                return True
            if len(self._pending) < 2:
                return False
            if self._pending[0:1] == b"N" and self._pending[1] != 0:
                self._skip = 1
            elif len(self._pending) < 9:
                return False
            elif self._pending[0:1] == b"R" and not any(self._pending[5:9]):
                return True
            else:
                self._skip = 1 + max(4, int.from_bytes(self._pending[1:5], "big"))


class RedisLogin:
    """The server's first reply that is neither an error nor `+RESET`: without its password it gives no other."""

    said_by_client = False

    def __init__(self) -> None:
        self._line = b""

    def is_done_after(self, data: bytes) -> bool:
        """Whether the server has taken a command by now."""
        for part in data.splitlines(keepends=True):
            self._line = (self._line + part)[:_LONGEST_REFUSAL]
            if self._line[:1] != b"-" and not b"+RESET\r\n".startswith(self._line):
                return True
            if part.endswith(b"\n"):
                self._line = b""
        return False


class RequestHead:
    """A whole head of a request has come: whoever holds the web process's attention has asked for something."""

    said_by_client = True

    def __init__(self) -> None:
        self._tail = b""

    def is_done_after(self, data: bytes) -> bool:
        """Whether an empty line has come by now."""
        seen = self._tail + data
        self._tail = seen[-2:]
        return b"\n\r\n" in seen or b"\n\n" in seen
