"""Is the machine short of disk, memory or descriptors just now? That is a state of it, and no work's failure."""

from __future__ import annotations

import errno
import os

SQL_SHORTAGE = "53"
"""PostgreSQL's class of errors: disk_full, out_of_memory, too_many_connections."""

_LACKING = {
    errno.ENOSPC: "disk space",
    errno.EDQUOT: "disk quota",
    errno.ENOMEM: "memory",
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
}


class ResourceShortage(Exception):
    """Work stopped because the machine is short of something; the message says of what."""


def shortage_in(error: BaseException) -> str:
    """What the machine lacked, in words; empty where the error says nothing of that kind."""
    if isinstance(error, ResourceShortage):
        return str(error)
    if isinstance(error, MemoryError):
        return "no memory left"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _LACKING:
            return f"no {_LACKING[cause.errno]} left"
        cause = cause.__cause__
    return ""


def shortage_told(text: str) -> str:
    """The same of what a program wrote before it ended."""
    for number, lacking in _LACKING.items():
        if os.strerror(number) in text:
            return f"no {lacking} left"
    return ""


def database_shortage(error: BaseException) -> str:
    """That PostgreSQL waits, and for what, in its own words; empty where the error is of another kind."""
    cause: BaseException | None = error
    while cause is not None:
        if (getattr(cause, "sqlstate", None) or "").startswith(SQL_SHORTAGE):
            return f"waits: {str(cause).partition(chr(10))[0]}"
        cause = cause.__cause__
    return ""
