"""What the rooms above register with a lower one when a process starts: one verb and one form for all of it.

The room that needs something names a registry; the rooms that have it call its `register` from their `AppConfig.ready`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Many entries, in the order of registration. Filled before any thread starts, and only read from then on."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = list(entries)

    def register(self, entry: Entry) -> None:
        """Adds an entry."""
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))


class SoleEntry(Generic[Entry]):
    """A registry of one entry, as where only one room can have it."""

    def __init__(self, default: Entry | None = None) -> None:
        self._entry = default

    def register(self, entry: Entry) -> None:
        """Sets the entry, in place of the default or of one before."""
        self._entry = entry

    def get(self) -> Entry:
        """Returns the entry. Raises LookupError where there is neither one nor a default."""
        if self._entry is None:
            raise LookupError("nothing is registered yet: call django.setup() first")
        return self._entry
