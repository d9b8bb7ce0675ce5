"""Every secret of a data directory, and a search for them in whatever somebody is told."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from clustercore.embedded.selectors import resolve_endpoints

SHORTEST = 16
"""Characters: what is shorter in the folder for secrets is no secret."""


def secrets_of(data_dir: Path) -> dict[str, str]:
    """Every word of every file in the folder for secrets, and the key that the ledger keeps."""
    found = {
        f"{path.name} {number}": word
        for path in sorted((data_dir / "secrets").iterdir())
        for number, word in enumerate(path.read_text(encoding="ascii").split())
        if len(word) >= SHORTEST
    }
    with psycopg.connect(resolve_endpoints(data_dir, None, None).database_url) as link:
        [[signing_key]] = link.execute("SELECT signing_key FROM blobs_hub").fetchall()
    return {**found, "signing key of blobs": signing_key}


def leaks(secrets: Mapping[str, str], told: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which secret is in which text, as it is, as an address spells it, or in base64."""
    return [(name, place) for name, secret in secrets.items() for place, text in told.items() if any_of(secret, text)]


def any_of(secret: str, text: str) -> bool:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return any(spelling in text for spelling in (secret, quote(secret, safe=""), encoded))


def open_to_others(data_dir: Path) -> Iterator[str]:
    """What another account may enter, read or write, but for directories that PostgreSQL's account passes (0710) and
    the copies of public programs that it runs."""
    for path in [data_dir, *sorted(data_dir.rglob("*"))]:
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode) or is_a_program(path.relative_to(data_dir)):
            continue
        if mode & 0o077 and not (stat.S_ISDIR(status.st_mode) and mode == 0o710 and status.st_gid == passing(data_dir)):
            yield f"{path} {mode:04o}"


def passing(data_dir: Path) -> int:
    """The group of the account that the servers run as."""
    return (data_dir / "postgres").stat().st_gid


def is_a_program(path: Path) -> bool:
    first = path.parts[0] if path.parts else ""
    return first == "programs" or first.startswith("postgresql-")
