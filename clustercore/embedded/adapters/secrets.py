"""Passwords, the signing key and the Redis port: small files made once, whoever comes first."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PROPOSED: dict[Path, str] = {}
"""What this process answered where it could not write, so that a file it makes later agrees with its settings."""


def password(path: Path) -> str:
    """The secret in `path`, made on first need; where it can be neither read nor made, one for this process alone."""
    return _read_or_create(path, lambda: secrets.token_urlsafe(32))


def signing_key(path: Path) -> str:
    """The same of 64 bytes: Django wants at least 50 characters. A key that is there stays."""
    return _read_or_create(path, lambda: secrets.token_urlsafe(64))


def loopback_port(path: Path) -> int:
    """The TCP port noted in `path`, chosen among the free ones on first need."""
    return int(_read_or_create(path, lambda: str(free_loopback_port())))


def free_loopback_port() -> int:
    """A TCP port that nobody listens on at 127.0.0.1 right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return temporary
