"""Files that grow over several requests: `<data_dir>/blobs/uploads/<id>`. What came stays, whatever ends a request."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clustercore.blobs.adapters.files import hash_of, no_room_is_store_full

if TYPE_CHECKING:
    from hashlib import _Hash

_MOST_REMEMBERED = 1000
_HASHED: dict[Path, tuple[int, _Hash]] = {}
"""How far this process has hashed which file: a whole file need not be read again where one process took it all."""


class PartialFile:
    """One growing file, open for more bytes, as a context. One at a time: the caller sees to that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self.size = path.stat().st_size
        hashed, digest = _HASHED.pop(path, (0, hashlib.sha256()))
        self._digest = digest if hashed == self.size else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if self._digest is not None:
            if len(_HASHED) >= _MOST_REMEMBERED:
                _HASHED.pop(next(iter(_HASHED)))
            _HASHED[self.path] = (self.size, self._digest)

    def write(self, block: bytes | bytearray) -> None:
        """Takes the next bytes. Raises StoreFull."""
        view = memoryview(block)
        with no_room_is_store_full(self.path.parent):
            while view:
                written = self._file.write(view)
                self.size += written
                if self._digest is not None:
                    self._digest.update(view[:written])
                view = view[written:]

    def finish(self) -> str:
        """Flushes to the disk; the SHA-256 of the whole. Raises StoreFull."""
        with no_room_is_store_full(self.path.parent):
            os.fsync(self._file.fileno())
        return hash_of(self.path) if self._digest is None else self._digest.hexdigest()


def forget(path: Path) -> None:
    """Removes the file and what is remembered of it."""
    _HASHED.pop(path, None)
    path.unlink(missing_ok=True)
