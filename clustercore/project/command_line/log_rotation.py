"""Logs that other processes write: kept short from outside, because a process keeps the file that it was given."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

LOG_BYTES = 5_000_000


def rotate(log: Path) -> None:
    """Moves a log that has grown long to the side, in the place of the one before.

    It must have been opened for appending: whoever writes goes on at its new end. What is written between the copy and
    the cut is lost. A disk that is too full for the copy gets room at least.
    """
    with suppress(OSError):
        if log.stat().st_size <= LOG_BYTES:
            return
        with suppress(OSError):
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        with log.open("r+b") as file:
            file.truncate()
