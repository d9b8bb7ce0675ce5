"""Waiting for jobs in an event loop: one subscription for all who wait there, and what it says is shared in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from clustercore.live.adapters.changes import BETWEEN_SECONDS, REDIS_AWAY, channel_for
from clustercore.live.domain.changes import Changes, changes_in

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0
SHORTEST_AWAY_SECONDS, LONGEST_AWAY_SECONDS = 0.25, 2.0
"""Between two tries to subscribe while Redis is away."""
LINGER_SECONDS = 30.0
"""The subscription stays for so long after the last who waited: the next request comes soon, or not at all."""

Listener = Callable[[Changes | None], None]
"""Is called in the event loop with what changed; None where anything may have, unheard."""


class Notices:
    """The subscription of one event loop, `notices_here`. It stands while anybody listens."""

    def __init__(self) -> None:
        self.are_told = False
        """Whether changes are told at this moment, so that nobody need look often."""
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._is_away = False
        self._failure = ""

    @property
    def is_running(self) -> bool:
        """Whether there is a subscription, or one is tried for."""
        return self._task is not None

    def listen(self, listener: Listener) -> None:
        """Calls it with everything that is told from now on, until `leave`."""
        self._listeners.add(listener)
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="job-notices")

    def leave(self, listener: Listener) -> None:
        """Calls it no more."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None and self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._end)

    def _end(self) -> None:
        self._ending = None
        if self._task is not None:
            self._task.cancel()
            self._task, self.are_told = None, False

    async def _run(self) -> None:
        """Subscribes, again and again while Redis is away."""
        pause = SHORTEST_AWAY_SECONDS
        while True:
            try:
                await self._subscribed()
            except REDIS_AWAY as absence:
                self._say(absence)
            except Exception as error:
                # Whatever it was: who waits looks, and does not rely on being told.
                self._fail("Listening to changes of jobs", error)
            pause = SHORTEST_AWAY_SECONDS if self.are_told else min(pause * 2, LONGEST_AWAY_SECONDS)
            self.are_told = False
            await asyncio.sleep(pause)

    def _fail(self, what: str, error: Exception) -> None:
        """Logs a failure, unless it is that of the last time."""
        if self._failure != (failure := f"{what}: {error!r}"):
            logger.error("%s failed", what, exc_info=error)
        self._failure = failure

    def _say(self, absence: Exception) -> None:
        if not self._is_away:
            logger.warning("Redis is away (%s): changes of jobs are looked for meanwhile", absence)
        self._is_away = True

    async def _subscribed(self) -> None:
        # A socket of this machine has no such option, nor an end that vanishes in silence.
        kept = {} if settings.REDIS_URL.startswith("unix:") else {"socket_keepalive": True}
        client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=CONNECT_SECONDS,
            # It listens for as long as nothing changes.
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            **kept,
        )
        try:
            async with client.pubsub() as subscription:
                await subscription.subscribe(channel_for(client))
                async for message in subscription.listen():
                    self._hear(message)
        finally:
            with suppress(*REDIS_AWAY):
                await client.aclose()

    def _hear(self, message: Any) -> None:
        if message["type"] == "subscribe":
            self.are_told, self._is_away = True, False
            self._tell(None)
        elif changes := changes_in(message["data"].decode(errors="replace")):
            self._tell(changes)

    def _tell(self, changes: Changes | None) -> None:
        for listener in list(self._listeners):
            try:
                listener(changes)
            except Exception as error:
                # It keeps none of the others from being told.
                self._fail("Telling one who waits for a job", error)


_NOTICES: WeakKeyDictionary[asyncio.AbstractEventLoop, Notices] = WeakKeyDictionary()


def notices_here() -> Notices:
    """Returns the subscription of the running event loop."""
    return _NOTICES.setdefault(asyncio.get_running_loop(), Notices())


class Awaited:
    """A job that somebody waits for, as `changes_of` gives it."""

    def __init__(self, notices: Notices, job_id: int, *, only_end: bool) -> None:
        self._notices = notices
        self._job_id = job_id
        self._only_end = only_end
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._looked = float("-inf")

    @property
    def is_told(self) -> bool:
        """Whether its changes are told at this moment, so that one need not look often."""
        return self._notices.are_told

    def hear(self, changes: Changes | None) -> None:
        """Notes what is told."""
        if changes is None:
            self._changed.set()
        elif changes.get(self._job_id):
            self._over.set()
            self._changed.set()
        elif self._job_id in changes and not self._only_end:
            self._changed.set()

    async def within(self, seconds: float) -> bool:
        """Returns when the job has, or may have, changed since the last call, or when the time is over.

        Changes that follow each other fast are one; an end is told at once. Returns whether its end was told.
        """
        clock = asyncio.get_running_loop().time
        await _until(self._changed, seconds)
        await _until(self._over, self._looked + BETWEEN_SECONDS - clock())
        self._looked = clock()
        is_over = self._over.is_set()
        self._changed.clear()
        self._over.clear()
        return is_over


async def _until(told: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await told.wait()


@contextmanager
def changes_of(job_id: int, *, only_end: bool = False) -> Iterator[Awaited]:
    """Lets a coroutine wait for changes of a job, or only for its end; nothing is missed from here on."""
    notices = notices_here()
    awaited = Awaited(notices, job_id, only_end=only_end)
    notices.listen(awaited.hear)
    try:
        yield awaited
    finally:
        notices.leave(awaited.hear)
