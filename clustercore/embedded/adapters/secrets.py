"""Passwords and the signing key: small files made once, whoever comes first."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_PORT, _LOWEST_EPHEMERAL = 10_000, 30_000
_PORT_TRIES = 100

_PROPOSED: dict[Path, str] = {}
"""What this process answered where it could not write, so that a file it makes later agrees with its settings."""


def password(path: Path) -> str:
    """The secret in `path`, made on first need; where it can be neither read nor made, one for this process alone."""
    return _read_or_create(path, lambda: secrets.token_urlsafe(32))


def signing_key(path: Path) -> str:
    """The same of 64 bytes: Django wants at least 50 characters. A key that is there stays."""
    return _read_or_create(path, lambda: secrets.token_urlsafe(64))


def free_loopback_port() -> int:
    """A TCP port that nobody listens on at 127.0.0.1 right now.

    Below the range that outgoing connections take theirs from, so that none of them has it when its server comes back.
    """
    below = min(_LOWEST_EPHEMERAL, _ephemeral_begin())
    for _ in range(_PORT_TRIES if below > _LOWEST_PORT else 0):
        port = _LOWEST_PORT + secrets.randbelow(below - _LOWEST_PORT)
        if _can_bind(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ephemeral_begin() -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    return _LOWEST_EPHEMERAL


def _can_bind(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def replace(path: Path, text: str) -> None:
    """Write `path` (0600) so that a reader sees the old text or the new one."""
    temporary = _written_beside(path, text)
    temporary.replace(path)


def _read_or_create(path: Path, make: Callable[[], str]) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii").strip()
    proposal = _PROPOSED.setdefault(path, make())
    try:
        return _create(path, proposal)
    except OSError:
        return proposal


def _create(path: Path, text: str) -> str:
    """Publish `text` as `path`, or return what another process published first."""
    temporary = _written_beside(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    finally:
        temporary.unlink()
    return text


def _written_beside(path: Path, text: str) -> Path:
    """A new file next to `path`; the data directory must exist, its folders for secrets and ports need not."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink()
        raise
    return temporary
