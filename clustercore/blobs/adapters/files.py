"""Bytes that arrive: written aside, hashed as they come, and put in place all at once or not at all.

A *seal* says which bytes a file had when it was hashed: as long as it holds, they need not be hashed again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from clustercore.blobs.domain.errors import BlobCorrupt, StoreFull
from clustercore.embedded.adapters.boot import read_boot_id

BLOCK_BYTES = 1 << 20
SPARE_BYTES = 64 << 20
"""Room that whatever arrives leaves on the disk, for the servers beside the store."""
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


@cache
def this_start() -> str:
    """Which start of the machine this process belongs to."""
    return read_boot_id()


def seal_of(status: os.stat_result) -> str:
    """The seal of a file with this status: start of the machine, inode, size and time of the last change.

    Of another start it holds no more: what a machine had in memory when it stopped may not have reached its disk.
    """
    return f"{this_start()} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def is_of_this_start(seal: str) -> bool:
    """Whether the machine has been up since the seal was made."""
    return seal.partition(" ")[0] == this_start()


@dataclass(frozen=True, slots=True)
class Finished:
    """A whole file on the disk that nobody writes to any more, the SHA-256 of its bytes, and its seal then."""

    path: Path
    sha256: str
    seal: str

    def verified(self) -> Finished:
        """Itself, hashed again if the seal is broken. Raises BlobCorrupt."""
        seal = seal_of(self.path.stat())
        if seal != self.seal and (found := hash_of(self.path)) != self.sha256:
            raise BlobCorrupt(f"{self.path} hashed to {self.sha256} when it came, and hashes to {found} now")
        return Finished(self.path, self.sha256, seal)


def flush_file(path: Path) -> None:
    """Makes the bytes of a file survive a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_directory(directory: Path) -> None:
    """Makes renames in `directory` survive a power cut, where the system lets a directory be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Makes it, and what it lies in, so that it survives a power cut."""
    if not directory.is_dir():
        make_directory(directory.parent)
        directory.mkdir(exist_ok=True, mode=0o700)
        flush_directory(directory.parent)


def put_in_place(temporary: Path, final: Path) -> None:
    """Renames a finished, flushed file to its name; a file of that name goes."""
    make_directory(final.parent)
    temporary.replace(final)
    flush_directory(final.parent)


def leave_spare_room(directory: Path) -> None:
    """Raises StoreFull when less room is left than whatever arrives must leave."""
    if shutil.disk_usage(directory).free < SPARE_BYTES:
        raise StoreFull(f"no room left on the disk of {directory}: free some space and try again")


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
        leave_spare_room(self.directory)
        with no_room_is_store_full(self.directory):
            while view:
                view = view[self._file.write(view) :]
        self._digest.update(block)
        self.size += len(block)

    def copy(self, source: Path) -> None:
        """Takes a whole file, block by block. Raises StoreFull, OSError."""
        for block in blocks(source):
            self.write(block)

    def finish(self) -> Finished:
        """Flushes to the disk, and hashes what came. Raises BlobCorrupt, StoreFull."""
        with no_room_is_store_full(self.directory):
            os.fsync(self._file.fileno())
        status = os.fstat(self._file.fileno())
        self._file.close()
        if status.st_size != self.size:
            raise BlobCorrupt(f"{self.size} bytes came and {status.st_size} are on the disk; nothing was kept")
        return Finished(self.path, self._digest.hexdigest(), seal_of(status))

    def finish_as(self, sha256: str) -> Finished:
        """`finish`, for bytes that were announced by name. Raises BlobCorrupt, StoreFull."""
        finished = self.finish()
        if finished.sha256 != sha256:
            raise BlobCorrupt(
                f"the {self.size} bytes that came hash to {finished.sha256}, not to {sha256}; nothing was kept"
            )
        return finished
