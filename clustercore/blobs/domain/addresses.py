"""Where a blob lies: below a root on disk, and below the hub's base URL."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

_SHA256 = re.compile(r"[0-9a-f]{64}")
_POSTGRESQL_PORT = 5432


def checked_hash(sha256: str) -> str:
    """`sha256` itself if it is 64 lower-case hexadecimal digits. Raises ValueError: it becomes part of a path."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in lower-case hexadecimal: {sha256[:80]!r}")
    return sha256


def relative_path(sha256: str) -> PurePosixPath:
    """`ab/cd/abcd…`, so that no directory grows beyond a few thousand entries. Raises ValueError."""
    checked_hash(sha256)
    return PurePosixPath(sha256[:2], sha256[2:4], sha256)


def hub_base_url(hub_url: str | None, database_url: str | None, advertised: str) -> str:
    """The base URL, without a slash at its end, at which this process reaches the hub's blob service.

    What the user set wins, then what the hub advertised, unless that is on loopback and thus for the hub's machine
    alone. A DATABASE_URL that names another machine names the hub's one port too. Otherwise this process runs beside
    the hub.
    """
    if hub_url:
        return hub_url.rstrip("/")
    if advertised and not is_local_host(urlsplit(advertised).hostname or ""):
        return advertised.rstrip("/")
    return (_base_of_database(database_url) or advertised).rstrip("/")


def _base_of_database(database_url: str | None) -> str | None:
    if not database_url:
        return None
    parts = urlsplit(database_url)
    host = unquote(parts.hostname or "")
    # A hub's one port is one: several servers are PostgreSQL's own.
    if is_local_host(host) or "," in parts.netloc:
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{parts.port or _POSTGRESQL_PORT}"


def is_local_host(host: str) -> bool:
    """Whether `host` is this machine by its very name: nothing, a socket directory, `localhost` or loopback."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
