"""The embedded Redis-compatible server: on a unix socket, with a password and an append-only file.

A socket lies in a directory that nobody else enters: no stranger can have its place while the server is away, and be
sent the password by those who come back to it.
"""

from __future__ import annotations

import asyncio
import signal

from clustercore.embedded.adapters import secrets
from clustercore.embedded.adapters.binaries import redis_program
from clustercore.embedded.adapters.processes import CHILD_ENVIRONMENT
from clustercore.embedded.adapters.program import Program
from clustercore.embedded.domain.accounts import Account
from clustercore.embedded.domain.layout import Layout

_LOOKS_PER_SECOND = 2
"""How often it wakes to look after itself. Commands are served at once; a wait that ends empty may end half a second
late."""


def valkey_program(layout: Layout, account: Account | None) -> Program:
    """Find the program and say how to run it. Raises EmbeddedError where there is none."""
    program = redis_program(layout, account)
    return Program(
        name="Redis",
        prepare=lambda: ([program, "-"], _configuration(layout)),
        probe=lambda: _answers(layout),
        stop_signals=((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)),
        log=layout.logs / "redis.log",
        environment=CHILD_ENVIRONMENT,
        directory=layout.redis_data,
        account=account,
        process_names=frozenset({"valkey-server", "redis-server"}),
        gives_up=True,
        tells_of_shortage=True,
    )


def _configuration(layout: Layout) -> bytes:
    """Handed over by standard input: the password appears in no file but its own, and in no process list."""
    lines = (
        "port 0",
        f'unixsocket "{_quoted(str(layout.redis_socket))}"',
        "unixsocketperm 700",
        f"requirepass {secrets.password(layout.secrets / 'redis')}",
        "dir ./",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        f"hz {_LOOKS_PER_SECOND}",
        "daemonize no",
        'logfile ""',
        "always-show-logo no",
    )
    return ("\n".join(lines) + "\n").encode()


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


async def _answers(layout: Layout) -> bool:
    """Whether it takes the password and has read its file."""
    password = secrets.password(layout.secrets / "redis")
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_unix_connection(layout.redis_socket)
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            answers = [await reader.readline(), await reader.readline()]
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return answers == [b"+OK\r\n", b"+PONG\r\n"]
