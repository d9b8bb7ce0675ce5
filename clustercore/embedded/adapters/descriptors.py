"""How many files and connections this process may have open; what it starts inherits it."""

from __future__ import annotations

import sys
from contextlib import suppress

if sys.platform != "win32":
    import resource

WANTED = 16_384
_ENOUGH_EVERYWHERE = 10_240
"""What macOS grants at most, whatever it says is the limit."""


def descriptor_limit() -> int:
    """The limit that applies now."""
    if sys.platform == "win32":
        return WANTED
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> int:
    """Raises the limit as far as is of use and allowed; the one that applies from now on."""
    if sys.platform == "win32":
        return WANTED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (WANTED, _ENOUGH_EVERYWHERE):
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if resource.RLIM_INFINITY != soft < allowed:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
                break
    return descriptor_limit()
