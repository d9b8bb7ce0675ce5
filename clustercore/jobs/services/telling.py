"""Whoever waits is told: `job_changed` is called by every service that changes what people see of a job.

A thread of each process gathers what changed, writes it into `Job.changed` and publishes it, at most twenty times a
second. Both may be lost with the process: whoever waits looks now and then all the same.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Set
from functools import partial

from django.db import DatabaseError, InterfaceError, connection, connections, transaction

from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES
from clustercore.live.adapters.changes import Publisher

logger = logging.getLogger(__name__)

BETWEEN_SECONDS = 0.05
"""Between two times of telling; the first change after a pause is told at once, and so is what cannot wait."""
LONGEST_AGAIN_SECONDS = 1.0
"""Between two tries to tell of jobs that somebody has locked, where there is nothing else to tell."""
ENDING_SECONDS = 2.0
"""So long the end of a process waits for its last changes to be told."""

# Nobody waits for a job that another one has locked, or for the disk: it is no loss if the last numbers are lost with
# the server, as they are by its clock and none comes twice.
_TELL = """
WITH free AS (
    SELECT id FROM jobs_job WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), told AS (
    UPDATE jobs_job j
    SET changed = greatest(j.changed + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    FROM free WHERE j.id = free.id RETURNING j.id
)
SELECT j.id, j.state = ANY(%(final)s), j.id IN (SELECT id FROM told), set_config('synchronous_commit', 'off', true)
FROM jobs_job j WHERE j.id = ANY(%(ids)s)
"""


class Teller:
    """Gathers ids, and hands them to `tell` in a thread of its own; what that returns is told again the next time."""

    def __init__(self, tell: Callable[[Set[int]], Collection[int]]) -> None:
        self._tell = tell
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forgets everything, as a forked process must: it has none of the threads, and its parent tells the rest."""
        self._waiting: set[int] = set()
        self._in_hand: set[int] = set()
        self._cannot_wait = False
        self._something = threading.Condition()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, job_id: int, *, at_once: bool = False) -> None:
        """Has it told soon, or now; waits for nobody."""
        with self._something:
            self._waiting.add(job_id)
            self._cannot_wait = self._cannot_wait or at_once
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="telling changes", daemon=True)
                thread.start()
                self._thread = thread
            self._something.notify_all()

    def end(self) -> None:
        """Returns when all is told, or after a while."""
        self._ending.set()
        with self._something:
            self._something.notify_all()
            self._something.wait_for(lambda: self.is_at_rest, ENDING_SECONDS)

    @property
    def is_at_rest(self) -> bool:
        """Whether all is told."""
        return not self._waiting and not self._in_hand

    def _run(self) -> None:
        tries = 0
        while True:
            ids = self._next()
            began = time.monotonic()
            try:
                again = self._tell(ids)
            except Exception:
                logger.exception("changes of %s jobs were not told", len(ids))
                again = ()
            locked = set(again)
            with self._something:
                self._waiting.update(locked if not self._ending.is_set() else ())
                self._in_hand = set()
                self._something.notify_all()
            self._pause(began + BETWEEN_SECONDS - time.monotonic())
            tries = tries + 1 if locked else 0
            if locked:
                pause = min(BETWEEN_SECONDS * 2 ** min(tries, 10), LONGEST_AGAIN_SECONDS)
                self._pause(pause, but_for=locked)

    def _pause(self, seconds: float, but_for: Set[int] | None = None) -> None:
        """At most; what cannot wait ends it, and, where `but_for` is given, any other job than these."""

        def is_over() -> bool:
            is_new = but_for is not None and bool(self._waiting - but_for)
            return self._cannot_wait or self._ending.is_set() or is_new

        with self._something:
            self._something.wait_for(is_over, max(0.0, seconds))

    def _next(self) -> Set[int]:
        with self._something:
            self._something.wait_for(lambda: self._waiting)
            self._in_hand, self._waiting = self._waiting, set()
            self._cannot_wait = False
            return self._in_hand


_PUBLISHER = Publisher()


def _written_and_published(ids: Set[int]) -> Collection[int]:
    """Tells what changed; returns the jobs that another transaction has locked at this moment."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_TELL, {"ids": list(ids), "final": list(FINAL_JOB_STATES)})
            found = cursor.fetchall()
    except (DatabaseError, InterfaceError) as absence:
        # Who settles what comes next tells again.
        logger.debug("changes of %s jobs were not told: %s", len(ids), absence)
        return ()
    finally:
        connections.close_all()
    told = {job_id: is_over for job_id, is_over, is_told, _ in found if is_told}
    gone = ids - {row[0] for row in found}
    _PUBLISHER.publish(told | dict.fromkeys(gone, True))
    return [job_id for job_id, _, is_told, _ in found if not is_told]


_TELLER = Teller(_written_and_published)


def job_changed(job_id: int, *, at_once: bool = False) -> None:
    """Lets whoever waits for the job know that something of it changed, once the caller's transaction is committed.

    `at_once` is for its end, for which people wait. It costs next to nothing, and waits neither for the database nor
    for the network.
    """
    transaction.on_commit(partial(_TELLER.add, job_id, at_once=at_once), robust=True)


os.register_at_fork(after_in_child=_TELLER.begin_anew)
atexit.register(_TELLER.end)
