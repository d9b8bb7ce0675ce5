"""The embedded Redis-compatible server: on one loopback port, with a password and an append-only file."""

from __future__ import annotations

import asyncio
import signal
import socket

from clustercore.embedded.adapters import secrets
from clustercore.embedded.adapters.binaries import redis_program
from clustercore.embedded.adapters.server import LOG, Program
from clustercore.embedded.domain.accounts import Account
from clustercore.embedded.domain.layout import Layout


def valkey_program(layout: Layout, account: Account | None) -> Program:
    """Find the program and say how to run it. Raises EmbeddedError where there is none."""
    program = redis_program(layout, account)
    return Program(
        name="Redis",
        directory=layout.redis_data,
        process_names=frozenset({"valkey-server", "redis-server"}),
        stop_signals=((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)),
        before_start=lambda: ([program, "-"], _configuration(layout, _free_port(layout))),
        probe=lambda: _answers(layout),
    )


def _configuration(layout: Layout, port: int) -> bytes:
    """Handed over by standard input: the password appears in no file but its own, and in no process list."""
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {secrets.password(layout.secrets / 'redis')}",
        "dir ./",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "tcp-keepalive 60",
        "daemonize no",
        'logfile ""',
        "always-show-logo no",
    )
    return ("\n".join(lines) + "\n").encode()


def _free_port(layout: Layout) -> int:
    """The port noted in the data directory; another one, noted there, when a stranger has taken it."""
    port = secrets.loopback_port(layout.redis_port)
    if _is_free(port):
        return port
    chosen = secrets.free_loopback_port()
    secrets.replace(layout.redis_port, str(chosen))
    LOG.warning("port %d is taken by another program; Redis moves to %d", port, chosen)
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _answers(layout: Layout) -> bool:
    """Whether it takes the password and has read its file."""
    password = secrets.password(layout.secrets / "redis")
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", secrets.loopback_port(layout.redis_port))
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            answers = [await reader.readline(), await reader.readline()]
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return answers == [b"+OK\r\n", b"+PONG\r\n"]
