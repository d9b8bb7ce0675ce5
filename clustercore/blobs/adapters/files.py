"""Bytes that arrive: written aside, hashed as they come, and put in place all at once or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from clustercore.blobs.domain.errors import BlobCorrupt, StoreFull

BLOCK_BYTES = 1 << 20
_NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks of 1 MiB."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def hash_of(path: Path) -> str:
    """The SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hash_of_open(file)


def hash_of_open(file: BinaryIO) -> str:
    """The SHA-256 of all that an open file holds; it stands at its beginning again afterwards."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def flush_directory(directory: Path) -> None:
    """Makes renames in `directory` survive a power cut, where the system lets a directory be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, final: Path) -> None:
    """Renames a finished, flushed file to its name. Bytes that are there already are the same bytes."""
    final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if final.exists():
        temporary.unlink(missing_ok=True)
        return
    temporary.replace(final)
    flush_directory(final.parent)


@contextlib.contextmanager
def no_room_is_store_full(directory: Path) -> Iterator[None]:
    """Turns "no space left" and "quota exceeded" into StoreFull; every other OSError passes."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull(f"no room left on the disk of {directory}: free some space and try again") from error
        raise


class Incoming:
    """A blob on its way in, as a context: what is not taken by `place` is gone when the context ends."""

    def __init__(self, directory: Path) -> None:
        with no_room_is_store_full(directory):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=directory)
        self.directory = directory
        self.path = Path(name)
        self.size = 0
        self._digest = hashlib.sha256()
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, block: bytes | bytearray) -> None:
        """Takes the next bytes. Raises StoreFull."""
        view = memoryview(block)
        with no_room_is_store_full(self.directory):
            while view:
                view = view[self._file.write(view) :]
        self._digest.update(block)
        self.size += len(block)

    def copy(self, source: Path) -> None:
        """Takes a whole file, block by block. Raises StoreFull, OSError."""
        for block in blocks(source):
            self.write(block)

    def finish(self) -> str:
        """Flushes to the disk; the SHA-256 of what came. Raises StoreFull."""
        with no_room_is_store_full(self.directory):
            os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def finish_as(self, sha256: str) -> None:
        """`finish`, for bytes that were announced by name. Raises BlobCorrupt, StoreFull."""
        found = self.finish()
        if found != sha256:
            raise BlobCorrupt(f"the {self.size} bytes that came hash to {found}, not to {sha256}; nothing was kept")
