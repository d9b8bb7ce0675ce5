"""The checkpoints of the audit log, in a file outside the database: one line of JSON each, only ever added to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from clustercore.access.domain.audit_chain import Head, moment

_TAIL_BYTES = 4096


class CheckpointDamaged(Exception):
    """The file is not as it was left; the message says how."""


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """A file in a folder of its own, in the hub's data directory; or a copy that somebody keeps elsewhere."""

    path: Path

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def is_kept(self) -> bool:
        """Whether this machine keeps checkpoints: the hub makes the folder, nobody else does."""
        return self.folder.is_dir()

    def establish(self) -> None:
        """From now on checkpoints are kept here. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def append(self, head: Head) -> None:
        """Adds a checkpoint, and returns once it is on the disk. Raises OSError."""
        line = as_line(head) + "\n"
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (_line_end_missing(descriptor) + line).encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, offset: int = 0) -> tuple[list[Head], int]:
        """Those behind so many bytes, as they were added, and the file's length; none where there is no file.

        Raises CheckpointDamaged for a line that is none, and for a file that is shorter than `offset`; OSError.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                content = file.read()
                length = file.seek(0, os.SEEK_END)
        except FileNotFoundError:
            content, length = b"", 0
        if length < offset:
            raise CheckpointDamaged(f"{self.path} was cut off: it had {offset} bytes when it was last read")
        lines = content.decode("utf-8", "replace").splitlines()
        return [self._parsed(line) for line in lines if line.strip()], length

    def last(self) -> Head | None:
        """The one that was added last, without reading the others. Raises CheckpointDamaged, OSError."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return None
        return self._parsed(lines[-1]) if lines else None

    def _parsed(self, line: str) -> Head:
        try:
            value: dict[str, Any] = json.loads(line)
            return Head(int(value["seq"]), str(value["digest"]), datetime.fromisoformat(value["at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointDamaged(f"{self.path} has a line that is no checkpoint: {line[:80]!r}") from error


def as_line(head: Head) -> str:
    """A checkpoint as the file has it, without the end of the line."""
    return json.dumps({"seq": head.seq, "digest": head.digest, "at": moment(head.at)})


def _line_end_missing(descriptor: int) -> str:
    """A power cut may leave half a line: the next checkpoint begins on one of its own."""
    size = os.fstat(descriptor).st_size
    return "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""
