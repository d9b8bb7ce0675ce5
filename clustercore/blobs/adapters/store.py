"""The hub's store: `<data_dir>/blobs/ab/cd/<sha256>`, and the file that says whose store it is."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from pathlib import Path
from uuid import UUID

from clustercore.blobs.adapters.files import Finished, Incoming, flush_directory, hash_of, put_in_place, seal_of
from clustercore.blobs.domain.addresses import relative_path

ABANDONED_AFTER_SECONDS = 24 * 3600.0
QUARANTINE_SECONDS = 30 * 24 * 3600.0


class Store:
    """Files by hash below `<data_dir>/blobs`. A file under its final name is whole, always."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "blobs"
        self._incoming = self.root / "incoming"
        self._uploads = self.root / "uploads"
        self._quarantine = self.root / "quarantine"
        self._identity_file = self.root / "hub-identity"

    def path(self, sha256: str) -> Path:
        """Where that blob lies, if it does. Raises ValueError."""
        return self.root / relative_path(sha256)

    def receive(self) -> Incoming:
        """A place for bytes on their way in."""
        return Incoming(self._incoming)

    def upload_path(self, upload_id: UUID) -> Path:
        """Where a resumable upload grows."""
        self._uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._uploads / str(upload_id)

    def upload_paths(self) -> list[Path]:
        """Every resumable upload that has a file."""
        return list(self._uploads.iterdir()) if self._uploads.is_dir() else []

    def standing(self, first_byte: int, before: float) -> dict[str, int]:
        """Sizes of the files whose hash begins so and whose name or bytes are from before `before` (since 1970)."""
        found = {}
        for path in (self.root / f"{first_byte:02x}").glob("??/" + "[0-9a-f]" * 64):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                # A file that was renamed is as old as its bytes, but for the time of its inode.
                if max(status.st_mtime, status.st_ctime) < before:
                    found[path.name] = status.st_size
        return found

    def place(self, arrived: Finished) -> str:
        """Puts finished bytes under their name, in place of what stands there; their seal.

        Raises BlobCorrupt, OSError.
        """
        verified = arrived.verified()
        put_in_place(verified.path, self.path(verified.sha256))
        return verified.seal

    def holds(self, sha256: str, seal: str) -> bool:
        """Whether the blob's file is the one that was sealed so, unchanged."""
        try:
            return seal_of(self.path(sha256).stat()) == seal
        except FileNotFoundError:
            return False

    def hash(self, sha256: str) -> Finished | None:
        """The blob's file, hashed; None if there is none. One that cannot be read hashes to nothing."""
        path = self.path(sha256)
        try:
            seal = seal_of(path.stat())
            return Finished(path, hash_of(path), seal)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return Finished(path, "", seal)

    def has_something_of(self, sha256: str) -> bool:
        """Whether there is a file to be removed when the blob is: its own, or one set aside."""
        return self.path(sha256).exists() or self.is_set_aside(sha256)

    def set_aside(self, sha256: str) -> Path:
        """Takes a damaged file out of the store, to be looked at for some days; where it is now. Raises OSError."""
        aside = self._quarantine / sha256
        put_in_place(self.path(sha256), aside)
        os.utime(aside)
        return aside

    def is_set_aside(self, sha256: str) -> bool:
        """Whether a damaged file of that blob was set aside."""
        return (self._quarantine / sha256).exists()

    def remove(self, sha256: str) -> None:
        """Removes a blob's file and what was set aside of it; one that is not there is removed already."""
        self.path(sha256).unlink(missing_ok=True)
        (self._quarantine / sha256).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Room left on the store's disk."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return shutil.disk_usage(self.root).free

    def identity(self) -> str:
        """What the identity file says; empty where there is none."""
        try:
            return self._identity_file.read_text(encoding="ascii").strip()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return ""

    def establish_identity(self) -> str:
        """Gives the store an identity once; whoever comes second reads the first one's."""
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._incoming / f"identity-{secrets.token_hex(8)}"
        with draft.open("w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # A hard link either makes the whole file visible or fails because another process was first.
        with contextlib.suppress(FileExistsError):
            os.link(draft, self._identity_file)
        draft.unlink()
        flush_directory(self.root)
        return self.identity()

    def drop_abandoned(self) -> None:
        """Removes what was on its way in when its process died, a day ago or more, and what was set aside for long."""
        remove_older_files(self._incoming, time.time() - ABANDONED_AFTER_SECONDS)
        remove_older_files(self._quarantine, time.time() - QUARANTINE_SECONDS)


def remove_older_files(directory: Path, before: float) -> None:
    """Removes the files of one directory that were last written before `before` (seconds since 1970)."""
    if not directory.is_dir():
        return
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if path.stat().st_mtime < before:
                path.unlink()
