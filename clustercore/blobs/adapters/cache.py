"""A node's copies of blobs: `<data_dir>/cache/blobs/ab/cd/<sha256>`, least recently used out first."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from clustercore.blobs.adapters.files import flush_file, put_in_place
from clustercore.blobs.adapters.store import ABANDONED_AFTER_SECONDS, remove_older_files
from clustercore.blobs.domain.addresses import relative_path
from clustercore.blobs.domain.retention import Copy


@dataclass(frozen=True, slots=True)
class Download:
    """A file that a download goes into; no other process writes to it."""

    sha256: str
    path: Path


class Cache:
    """Copies by hash. A copy under its final name was whole and verified when it got that name."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "cache" / "blobs"
        self._partial = self.root / "partial"

    def path(self, sha256: str) -> Path:
        """Where that copy lies, if it does. Raises ValueError."""
        return self.root / relative_path(sha256)

    def use(self, sha256: str) -> Path | None:
        """The copy, marked as used just now; None if there is none."""
        path = self.path(sha256)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def begin(self, sha256: str) -> Download:
        """A file to download into, holding whatever an earlier download that gave up had got."""
        self._partial.mkdir(parents=True, exist_ok=True, mode=0o700)
        download = Download(sha256, self._partial / f"{sha256}.{uuid.uuid4().hex}")
        # A rename has one winner, so two downloads never write to one file.
        with contextlib.suppress(FileNotFoundError):
            self._resumable(sha256).replace(download.path)
        download.path.touch(mode=0o600)
        return download

    def give_up(self, download: Download) -> None:
        """Leaves what came so far for the next download of the same blob."""
        with contextlib.suppress(FileNotFoundError, PermissionError):
            download.path.replace(self._resumable(download.sha256))

    def keep(self, download: Download) -> Path:
        """Makes a finished and verified download the copy."""
        final = self.path(download.sha256)
        if final.exists():
            # Somebody may be reading it, and where that is Windows it cannot be replaced.
            download.path.unlink(missing_ok=True)
        else:
            flush_file(download.path)
            put_in_place(download.path, final)
        return final

    def copies(self) -> list[Copy]:
        """Every copy there is, unordered."""
        return list(self._copies())

    def drop(self, sha256s: Collection[str]) -> None:
        """Removes copies. One that is open (on Windows) stays until the next time."""
        for sha256 in sha256s:
            with contextlib.suppress(PermissionError):
                self.path(sha256).unlink(missing_ok=True)

    def drop_abandoned(self) -> None:
        """Removes parts of downloads that nobody went on with for a day."""
        remove_older_files(self._partial, time.time() - ABANDONED_AFTER_SECONDS)

    def _copies(self) -> Iterator[Copy]:
        for path in self.root.glob("??/??/*"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                yield Copy(path.name, status.st_size, status.st_mtime)

    def _resumable(self, sha256: str) -> Path:
        return self._partial / f"{sha256}.partial"
