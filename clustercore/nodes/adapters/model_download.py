"""One file over HTTP: streamed, resumed where it broke off, and compared with what the server says it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from clustercore.nodes.domain.model_catalogue import ModelStoreError
from clustercore.nodes.domain.plain_addresses import without_secrets

TRIES = 4
"""Connections per file; each continues where the last one broke off."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
BLOCK = 1 << 20

DownloadProgress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here and, when known, the bytes there are in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Whom a file is asked of, and how."""

    name: str = ""
    """What messages call it; its host when empty."""
    trust_env: bool = True
    """Whether the proxies of the environment (`HTTP_PROXY`) count; they do not know the hub of a local network."""


def download(url: str, target: Path, progress: DownloadProgress, server: Server = Server()) -> str | None:
    """Fetches `url` into `target`, which may hold the beginning already; returns the SHA-256 that the server says
    it must have, if any.

    Messages hold no query of an address: it may be a signature.

    Raises ModelStoreError `download_refused` or `download_interrupted`, and httpx.TransportError when the first
    connection cannot even be made.
    """
    broken: Exception | None = None
    for attempt in range(TRIES):
        try:
            return _fetch(url, target, progress, server)
        except (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError) as error:
            broken = error
        except httpx.TransportError:
            if attempt == 0:
                raise
    size = target.stat().st_size if target.exists() else 0
    called = _called(url, target, server)
    message = f"{called} broke off {TRIES} times ({broken}); {size} bytes are kept, type the same again to continue"
    raise ModelStoreError("download_interrupted", message)


def _fetch(url: str, target: Path, progress: DownloadProgress, server: Server) -> str | None:
    tag_file = target.with_name(target.name + ".etag")
    have = target.stat().st_size if target.exists() else 0
    # No compression: the bytes on the wire are counted, resumed and hashed.
    headers = {"Accept-Encoding": "identity"}
    if have and tag_file.exists():
        headers |= {"Range": f"bytes={have}-", "If-Range": tag_file.read_text()}
    with httpx.stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT, trust_env=server.trust_env
    ) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _complete_or_restart(response, url, target, progress, server)
        _refuse(response, url, target, server)
        continued = response.status_code == httpx.codes.PARTIAL_CONTENT
        _remember_tag(response, tag_file)
        _write(response, target, have if continued else 0, progress)
        return stated_sha256(response)


def _complete_or_restart(
    response: httpx.Response, url: str, target: Path, progress: DownloadProgress, server: Server
) -> str | None:
    # Nothing is left to fetch when the range begins at the end; anything else that is refused begins anew.
    if response.headers.get("content-range", "").endswith(f"/{target.stat().st_size}"):
        return stated_sha256(response)
    target.unlink()
    return _fetch(url, target, progress, server)


def _refuse(response: httpx.Response, url: str, target: Path, server: Server) -> None:
    called = _called(url, target, server)
    if url.startswith("https:") and response.url.scheme != "https":
        message = f"{called} leads to {without_secrets(str(response.url))}, which is not encrypted"
        raise ModelStoreError("download_refused", message)
    if response.is_error:
        reason = f"{response.status_code} {response.reason_phrase}"
        message = f"{server.name or response.url.host} answered {reason} for {called}"
        raise ModelStoreError("download_refused", message)


def _called(url: str, target: Path, server: Server) -> str:
    """A file of a server that has a name is called by its own; any other by its address."""
    return target.name if server.name else without_secrets(url)


def _remember_tag(response: httpx.Response, tag_file: Path) -> None:
    tag = response.headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        tag_file.write_text(tag)
    else:
        tag_file.unlink(missing_ok=True)


def _write(response: httpx.Response, target: Path, have: int, progress: DownloadProgress) -> None:
    length = response.headers.get("content-length")
    total = have + int(length) if length else None
    with target.open("r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        # As they arrive: what a bigger block had gathered would be lost when the connection breaks.
        for block in response.iter_raw():
            file.write(block)
            have += len(block)
            progress(target.name, have, total)


def stated_sha256(response: httpx.Response) -> str | None:
    """Reads it in the entity tags of the answer and of the redirects that led to it; None when none is a SHA-256."""
    tags = (one.headers.get("etag", "").removeprefix("W/").strip('"').lower() for one in (*response.history, response))
    return next((tag for tag in tags if re.fullmatch("[0-9a-f]{64}", tag)), None)


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
