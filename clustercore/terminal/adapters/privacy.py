"""Who may read what the commands make: its account alone, but for the texts that a person asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PRIVATE = 0o077
"""The umask: directories 0700, files 0600."""


@dataclass
class _Users:
    umask: int = PRIVATE


_USERS = _Users()


def keep_private() -> None:
    """Makes whatever this process and its children make its account's alone."""
    _USERS.umask = os.umask(PRIVATE)


@contextmanager
def as_the_user_wishes() -> Iterator[None]:
    """Lets files be made as the user's own umask says; the process's, so no other thread makes any meanwhile."""
    private = os.umask(_USERS.umask)
    try:
        yield
    finally:
        os.umask(private)
