"""Logs that stay short: our own, and those that other processes write."""

from __future__ import annotations

import logging
import logging.handlers
import shutil
from contextlib import suppress
from pathlib import Path

LOG_BYTES = 5_000_000
_HANDLED_BYTES = 2_000_000
_HANDLED_COPIES = 2
_TAIL_BYTES = 2000


def rotating_log(name: str, path: Path, form: str = "%(message)s") -> logging.Logger:
    """Returns a logger of this name that writes to `path` and nowhere else."""
    # Opened at its first line, whose failure the handler survives: a full disk must not end the supervisor.
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_HANDLED_BYTES, backupCount=_HANDLED_COPIES, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter(form))
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger


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


def tail(log: Path) -> str:
    """Returns the end of a log; nothing where there is none."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace").strip()
    return ""
