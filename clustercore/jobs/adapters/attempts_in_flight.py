"""What this process holds right now: one entry per attempt in a slot, shared by the slots and the agent's thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from clustercore.jobs.domain.unit_context import LeaseLost

WAKE_UP_SECONDS = 3.0
"""So long a wake-up may be on its way to a free slot; one that takes longer is taken for lost."""


@dataclass(slots=True)
class Holding:
    """One attempt in a slot. `lost` is set when the ledger no longer counts it."""

    key: UUID
    unit_id: int
    fraction: float = 0.0
    last_report: float = field(default_factory=time.monotonic)
    lost: threading.Event = field(default_factory=threading.Event)
    lost_because: str = ""
    once: bool = False
    """Whether its unit must not be done twice."""
    began: bool = False
    """Whether its handler was called."""
    watched_elsewhere: bool = False
    """Somebody else ends it when it is silent for too long: the runner's watchdog, or a download's time limits."""

    @property
    def tag(self) -> str:
        """The name by which the engine runner that works on it is known."""
        return f"attempt-{self.key}"

    @property
    def is_in_doubt(self) -> bool:
        """Whether its handler may have acted, and must not act again."""
        return self.once and self.began

    def begin(self) -> None:
        """Says that the handler is called now. Raises LeaseLost, and then it must not be."""
        # In this order, and read in the other one: whoever hands it back as not begun has kept the handler from it.
        self.began = True
        if self.lost.is_set():
            raise LeaseLost(self.lost_because)

    def report(self, fraction: float) -> None:
        """Says that work goes on. Raises LeaseLost."""
        if self.lost.is_set():
            raise LeaseLost(self.lost_because)
        self.fraction = min(max(fraction, 0.0), 1.0)
        self.last_report = time.monotonic()


def may_be_extended(holding: Holding, oldest: float) -> bool:
    """Whether its work is known to go on."""
    return (holding.watched_elsewhere or holding.last_report >= oldest) and not holding.lost.is_set()


class AttemptsInFlight:
    """All attempts in flight here, the places in use, what is finished and not brought, and the node's wake-ups."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[UUID, Holding] = {}
        self._kept: set[UUID] = set()
        self._wake_ups: dict[int, float] = {}
        self._places = 0
        self._replies_lost = 0

    @property
    def places(self) -> int:
        """Returns how many slots serve a message now, whatever they do for it."""
        return self._places

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Around all that a slot does for one message."""
        with self._lock:
            self._places += 1
        try:
            yield
        finally:
            with self._lock:
                self._places -= 1

    def add(self, holding: Holding) -> None:
        with self._lock:
            self._held[holding.key] = holding

    def remove(self, key: UUID) -> None:
        with self._lock:
            self._held.pop(key, None)

    def all(self) -> list[Holding]:
        with self._lock:
            return list(self._held.values())

    def keep(self, keys: Iterable[UUID]) -> None:
        """Remembers attempts that are done and whose results wait on disk: their leases go on."""
        with self._lock:
            self._kept.update(keys)

    def forget(self, keys: Iterable[UUID]) -> None:
        """They are brought, or do not count any more."""
        with self._lock:
            self._kept.difference_update(keys)

    def known(self) -> set[UUID]:
        """Returns the keys of all attempts that this process holds, or is done with and has not brought yet."""
        with self._lock:
            return self._held.keys() | self._kept

    @property
    def replies_lost(self) -> int:
        """Returns how often a claim ended without a reply: the ledger may have given an attempt that nobody holds."""
        return self._replies_lost

    def lose_reply(self) -> None:
        """Counts a claim of which nobody knows whether it was committed."""
        with self._lock:
            self._replies_lost += 1

    def extendable(self, silent_seconds: float) -> dict[UUID, float]:
        """Key to fraction done, of those that reported within `silent_seconds`, and of those that are done."""
        oldest = time.monotonic() - silent_seconds
        with self._lock:
            kept = dict.fromkeys(self._kept, 1.0)
        return kept | {h.key: h.fraction for h in self.all() if may_be_extended(h, oldest)}

    def knocked(self, unit_ids: Iterable[int]) -> None:
        """Remembers bells sent to this node's own queue, as long as one of them may be on its way."""
        with self._lock:
            now = time.monotonic()
            self._wake_ups = {unit: at for unit, at in self._wake_ups.items() if now - at < WAKE_UP_SECONDS}
            self._wake_ups.update(dict.fromkeys(unit_ids, now))

    def answered(self, unit_id: int | None) -> bool:
        """Whether the message for this unit was a wake-up of this node's own; it is then no longer pending."""
        with self._lock:
            return self._wake_ups.pop(unit_id, None) is not None if unit_id is not None else False

    def pending_wake_ups(self) -> set[int]:
        with self._lock:
            oldest = time.monotonic() - WAKE_UP_SECONDS
            return {unit for unit, at in self._wake_ups.items() if at >= oldest}


IN_FLIGHT = AttemptsInFlight()
"""The holdings of this process."""
