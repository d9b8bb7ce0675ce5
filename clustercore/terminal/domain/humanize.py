"""Names, numbers and sizes as a person reads them in one line."""

from __future__ import annotations

import os
from pathlib import Path

from clustercore.terminal.domain.names import without_controls

_EXACT_BELOW = 10
_SLOWEST_SHOWN = 0.1
NO_TIME = "\N{EN DASH}"


def printable(text: str, width: int | None = None) -> str:
    """Returns a text as one line: control characters become spaces, and the middle goes where it is too long."""
    line = without_controls(text)
    if width is None or len(line) <= width:
        return line
    kept = width - 1
    return f"{line[: kept - kept // 2]}…{line[len(line) - kept // 2 :]}"


def printable_path(path: Path) -> str:
    """Returns a path as one line, whatever bytes it has."""
    return printable(os.fsencode(path).decode("utf-8", "replace"))


def counted(count: int, noun: str) -> str:
    """Returns `1 piece`, `2 pieces`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def clock_words(seconds: float | None) -> str:
    """Returns a length of time as a clock shows it: `0:03`, `1:02:03`; a dash for None."""
    if seconds is None:
        return NO_TIME
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def factor_words(speed: float, times: str = "\N{MULTIPLICATION SIGN}") -> str:
    """Returns a speed as a bare factor with the sign of times; never as none at all."""
    if speed < _SLOWEST_SHOWN:
        return f"under {_SLOWEST_SHOWN}{times}"
    return f"{speed:.0f}{times}" if speed >= _EXACT_BELOW else f"{speed:.1f}{times}"


def memory_words(mebibytes: float) -> str:
    """Returns memory as machines are sold: `512 MB`, `15.6 GB`, counted by 1,024."""
    return f"{mebibytes:.0f} MB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GB"


def file_size_words(size_bytes: float) -> str:
    """Returns the size of files: `812 MB` or `15.6 GB`, counted by 1,000."""
    megabytes = size_bytes / 1e6
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
