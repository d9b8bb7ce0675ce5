"""Figures that are dear to read and change little: read again the more seldom, the dearer they are."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

SHORTEST_SECONDS = 5.0
COSTS = 50
"""A figure is kept for so many times as long as it took to read."""
KEPT = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    version: object
    until: float


class Remembered(Generic[T]):
    """What `read` tells of each id, as of a little while ago; of the last few ids that were asked for."""

    def __init__(self, read: Callable[[int], T]) -> None:
        self._read = read
        self._kept: OrderedDict[int, _Kept[T]] = OrderedDict()
        # One reads, the others wait for it: together they would be slower, and find the same.
        self._lock = Lock()

    def of(self, key: int, version: object = None) -> T:
        """Returns the figure for an id, at most `COSTS` times as old as reading it takes, or `SHORTEST_SECONDS`, and of
        that version: what has ended since is read anew."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.version != version or time.monotonic() >= kept.until:
                kept = self._kept[key] = self._read_anew(key, version)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return kept.value

    def _read_anew(self, key: int, version: object) -> _Kept[T]:
        began = time.monotonic()
        value = self._read(key)
        ended = time.monotonic()
        return _Kept(value, version, ended + max(SHORTEST_SECONDS, COSTS * (ended - began)))
