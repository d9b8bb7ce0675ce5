"""Whether the hub's database answers the threads of the node agent: a state of the node, told once, not an error."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from django.db import InterfaceError, OperationalError, connection
from psycopg_pool import PoolTimeout

from clustercore.embedded.domain.database_trouble import absence_in_words, is_busy
from clustercore.embedded.domain.shortage import database_shortage
from clustercore.nodes.domain.consumption import HoldSource

logger = logging.getLogger(__name__)

DATABASE_ERRORS = (OperationalError, InterfaceError, PoolTimeout)
"""What a database raises that is away or busy: `database_trouble` says which."""


class Holder(Protocol):
    """Whoever takes no work while the hub is away; called under a lock, it waits for nothing."""

    def hold(self, source: str, reason: str, seconds: float | None = None) -> None: ...

    def release(self, source: str) -> None: ...


class HubPresence:
    """What each thread found last. The hub is away while any of them finds it so."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        # The lock guards `_missed_by` alone, which both threads change; whose name stands in `_busy_for` changes that.
        self._lock = threading.Lock()
        self._missed_by: set[str] = set()
        self._busy_for: set[str] = set()

    @contextmanager
    def asked_by(self, thread: str) -> Iterator[None]:
        """Around what needs the database; what is raised because it is away or busy ends here, and is asked again."""
        try:
            yield
        except DATABASE_ERRORS as error:
            self._not_done(thread, error)
        else:
            self._answered(thread)
            self._busy_for.discard(thread)
        finally:
            # Back to the pool after each round, and a broken one out of it.
            with suppress(*DATABASE_ERRORS):
                connection.close()

    def _not_done(self, thread: str, error: Exception) -> None:
        if not is_busy(error):
            self._missed(thread, error)
            return
        if thread not in self._busy_for:
            logger.warning("The hub's database was busy, the node's %s asks again: %s", thread, error)
        self._busy_for.add(thread)
        self._answered(thread)

    def _missed(self, thread: str, error: Exception) -> None:
        with self._lock:
            if not self._missed_by:
                logger.warning(
                    "The hub's database is away; this node keeps what it has and takes nothing new: %s", error
                )
            self._missed_by.add(thread)
            self._holder.hold(
                HoldSource.HUB, f"the hub's database {database_shortage(error) or absence_in_words(error)}"
            )

    def _answered(self, thread: str) -> None:
        with self._lock:
            if thread not in self._missed_by:
                return
            self._missed_by.discard(thread)
            if not self._missed_by:
                logger.info("The hub's database is back; this node goes on")
                self._holder.release(HoldSource.HUB)
