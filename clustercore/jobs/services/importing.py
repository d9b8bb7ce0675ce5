"""Recordings that lie on the hub's machine already, in a folder that its owner allowed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from clustercore.config.environment import environment
from clustercore.jobs.domain.job_request import InvalidRequest

_TRUE_NAMES = Path("/proc/self/fd")


def open_import(text: str) -> BinaryIO:
    """The file, open. Raises InvalidRequest: what lies outside is told apart from what is not there by nothing."""
    folders = [folder.resolve() for folder in environment().import_folders]
    if not folders:
        raise InvalidRequest("path", "no folder is open for this: list some in CLUSTERCORE_IMPORT_FOLDERS on the hub")
    try:
        file = _opened(Path(text).resolve(strict=True))
    except (OSError, ValueError, RuntimeError):
        raise _not_there() from None
    # Looked at once it is open: between two looks at a path, a link may have been put in its place.
    if not any(_true_path(file).is_relative_to(folder) for folder in folders):
        file.close()
        raise _not_there()
    return file


def _opened(path: Path) -> BinaryIO:
    # Without waiting: a pipe that nobody writes to would hold the request for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a file")
    return os.fdopen(descriptor, "rb")


def _true_path(file: BinaryIO) -> Path:
    link = _TRUE_NAMES / str(file.fileno())
    return link.readlink() if _TRUE_NAMES.is_dir() else Path(file.name).resolve()


def _not_there() -> InvalidRequest:
    allowed = ", ".join(str(folder) for folder in environment().import_folders)
    return InvalidRequest("path", f"there is no such file in the folders that are open for this: {allowed}")
