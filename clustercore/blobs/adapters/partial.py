"""Files that grow over several requests: `<data_dir>/blobs/uploads/<id>`. What came stays, whatever ends a request."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clustercore.blobs.adapters.files import (
    Finished,
    hash_of,
    leave_spare_room,
    no_room_is_store_full,
    seal_of,
)
from clustercore.blobs.domain.errors import UploadBusy
from clustercore.embedded.adapters.locks import try_lock

if TYPE_CHECKING:
    from hashlib import _Hash

_MOST_REMEMBERED = 1000
_HASHED: dict[Path, tuple[str, _Hash]] = {}
"""The seal of each file when this process closed it, and its hash so far: what one process took is hashed once."""


class PartialFile:
    """One growing file, open for more bytes and for nobody else: others, processes too, get UploadBusy. A context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = try_lock(path)
        if descriptor is None:
            raise UploadBusy("another process of the hub takes bytes for this upload: try again in a moment")
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        status = os.fstat(descriptor)
        if not _is_at(path, status):
            # Whoever had the lock has removed the file since, or made it a blob, whose bytes are nobody's to write.
            self._file.close()
            raise UploadBusy("this upload was ended a moment ago: ask how much of it came")
        self.size = self._file.seek(0, os.SEEK_END)
        seal, digest = _HASHED.pop(path, ("", None))
        self._digest = hashlib.sha256() if self.size == 0 else digest if seal == seal_of(status) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets others have it."""
        if self._digest is not None:
            if len(_HASHED) >= _MOST_REMEMBERED:
                _HASHED.pop(next(iter(_HASHED)))
            _HASHED[self.path] = (self.seal, self._digest)
        self._file.close()

    @property
    def seal(self) -> str:
        """Of what is in the file now."""
        return seal_of(os.fstat(self._file.fileno()))

    def write(self, block: bytes | bytearray) -> None:
        """Takes the next bytes. Raises StoreFull."""
        view = memoryview(block)
        leave_spare_room(self.path.parent)
        with no_room_is_store_full(self.path.parent):
            while view:
                written = self._file.write(view)
                self.size += written
                if self._digest is not None:
                    self._digest.update(view[:written])
                view = view[written:]

    def cut_to(self, size: int) -> None:
        """Forgets what lies beyond so many bytes."""
        if self.size > size:
            self.size = self._file.truncate(size)
            self._file.seek(size)
            self._digest = None if size else hashlib.sha256()

    def flush(self) -> None:
        """Makes what came survive a power cut. Raises StoreFull."""
        with no_room_is_store_full(self.path.parent):
            os.fsync(self._file.fileno())

    def finish(self) -> Finished:
        """Flushes to the disk, and hashes the whole. Raises StoreFull."""
        self.flush()
        status = os.fstat(self._file.fileno())
        if self._digest is None or status.st_size != self.size:
            return Finished(self.path, hash_of(self.path), seal_of(status))
        return Finished(self.path, self._digest.hexdigest(), seal_of(status))


def forget(path: Path) -> None:
    """Removes the file and what is remembered of it."""
    _HASHED.pop(path, None)
    path.unlink(missing_ok=True)


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False
