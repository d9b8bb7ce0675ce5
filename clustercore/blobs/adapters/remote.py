"""The hub's blob service, seen from another machine: signed URLs over HTTP, resumed when the connection breaks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from clustercore.blobs.adapters.files import blocks, hash_of, no_room_is_store_full
from clustercore.blobs.domain.errors import BlobCorrupt, BlobMissing, BlobRefused, BlobUnavailable, StoreFull

logger = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
WAITS_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Waits between attempts that moved nothing; one that moved bytes starts the row again."""
_REFUSALS = {403, 405, 411, 413}
_DISK_FULL = 507


class Signer(Protocol):
    """Makes the signed path of one request, by the hub's own clock."""

    def __call__(self, method: str, sha256: str) -> str: ...


class _Broken(Exception):
    """The attempt failed in a way that another may not."""


@dataclass(frozen=True, slots=True)
class Remote:
    """The blob service at `base_url`. Errors: BlobMissing, BlobRefused, BlobUnavailable, BlobCorrupt, StoreFull."""

    base_url: str
    sign: Signer
    waits: tuple[float, ...] = WAITS_SECONDS

    def fetch(self, sha256: str, into: Path) -> None:
        """Downloads into `into`, going on after the bytes that it already holds; verified when this returns."""
        if not self._fetch_and_verify(sha256, into):
            # What an earlier download left may have been the corrupt part: once more, from the first byte.
            into.write_bytes(b"")
            if not self._fetch_and_verify(sha256, into):
                raise BlobCorrupt(f"{self.base_url} sent bytes that do not hash to {sha256}; nothing was kept")

    def upload(self, source: Path, sha256: str, media_type: str, *, is_known: bool) -> None:
        """Uploads the file; one that the ledger knows is not sent where the hub has its bytes."""
        self._until_done(lambda: self._upload_once(source, sha256, media_type, is_known), lambda: 0)

    def _fetch_and_verify(self, sha256: str, into: Path) -> bool:
        self._until_done(lambda: self._fetch_once(sha256, into), lambda: into.stat().st_size)
        if hash_of(into) == sha256:
            return True
        logger.warning("blob %s came from %s with the wrong bytes", sha256, self.base_url)
        into.write_bytes(b"")
        return False

    def _until_done(self, attempt: Callable[[], None], moved: Callable[[], int]) -> None:
        waits = iter(self.waits)
        while True:
            before = moved()
            try:
                attempt()
                return
            except (httpx.TransportError, _Broken) as error:
                if moved() > before:
                    waits = iter(self.waits)
                self._wait_or_give_up(waits, error)

    def _wait_or_give_up(self, waits: Iterator[float], error: Exception) -> None:
        seconds = next(waits, None)
        if seconds is None:
            problem = str(error) or type(error).__name__
            raise BlobUnavailable(
                f"the hub's blob service at {self.base_url} does not answer as it should ({problem}): check that the "
                "hub is up and that this address is right (CLUSTERCORE_HUB_URL)"
            ) from error
        time.sleep(seconds)

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.base_url, timeout=TIMEOUT, trust_env=False)

    def _fetch_once(self, sha256: str, into: Path) -> None:
        have = into.stat().st_size
        headers = {"If-Range": f'"{sha256}"', "Range": f"bytes={have}-"} if have else {}
        with self._client() as client, client.stream("GET", self.sign("GET", sha256), headers=headers) as response:
            if response.status_code == 416 and _size_in(response) == have:
                return
            self._check(response, sha256)
            _take(response, into)

    def _upload_once(self, source: Path, sha256: str, media_type: str, is_known: bool) -> None:
        with self._client() as client:
            if is_known and client.head(self.sign("HEAD", sha256)).status_code == 200:
                return
            headers = {
                "Content-Length": str(source.stat().st_size),
                "Content-Type": media_type or "application/octet-stream",
            }
            response = client.put(self.sign("PUT", sha256), content=blocks(source), headers=headers)
            self._check(response, sha256)

    def _check(self, response: httpx.Response, sha256: str) -> None:
        status = response.status_code
        if status in (200, 201, 206):
            return
        said = response.read()[:400].decode(errors="replace").strip()
        if status in (404, 410):
            raise BlobMissing(f"the hub at {self.base_url} says: {said}")
        if status == _DISK_FULL:
            raise StoreFull(f"the hub at {self.base_url} has no room for blob {sha256}: {said}")
        if status in _REFUSALS:
            raise BlobRefused(f"the hub at {self.base_url} refused blob {sha256} ({status}): {said}")
        raise _Broken(f"HTTP {status}: {said}")


def _size_in(response: httpx.Response) -> int:
    """The whole size that a 416 answer tells (`bytes */1234`); -1 if it does not."""
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(size) if size.isdigit() else -1


def _take(response: httpx.Response, into: Path) -> None:
    mode = "ab" if response.status_code == 206 else "wb"
    with no_room_is_store_full(into.parent), into.open(mode, buffering=0) as file:
        for block in response.iter_raw():
            file.write(block)
