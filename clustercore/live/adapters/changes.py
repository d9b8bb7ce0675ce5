"""Redis publish/subscribe: how processes tell each other at once that a job has changed.

There is one channel for all jobs. Who begins to wait needs no command then, nor has to be sure that a subscription
stands before it looks: a web process has one for all who wait in it, and passes over what nobody asked for.
Nothing depends on a message: whoever waits looks now and then all the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from clustercore.live.domain.changes import Changes, changes_in, messages_of

logger = logging.getLogger(__name__)

REDIS_AWAY = (redis.RedisError, OSError)
_TIMEOUT_SECONDS = 1.0
_AWAY_SECONDS = 1.0
"""Between two tries to reach a Redis that does not answer."""

BETWEEN_SECONDS = 0.1
"""Between two looks of one who waits, however often something changes."""


@lru_cache(maxsize=1)
def _client() -> Any:
    """This process's client. A connection that broke since it was last used is opened anew, once."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )


def channel_for(client: Any) -> str:
    """Returns the channel of this ledger: Redis's channels, unlike its keys, are those of all its databases."""
    number = client.connection_pool.connection_kwargs.get("db") or 0
    return f"clustercore:{number}:changed"


class Publisher:
    """Tells changes to whoever listens. While Redis is away it tries once a second, and says so once."""

    def __init__(self) -> None:
        self._is_away = False
        self._next_try = 0.0

    def publish(self, changes: Changes) -> None:
        """Tells them, or nothing; never raises for a Redis that is away. May take two seconds then."""
        if not changes or (self._is_away and time.monotonic() < self._next_try):
            return
        try:
            for message in messages_of(changes):
                _client().publish(channel_for(_client()), message)
        except REDIS_AWAY as absence:
            if not self._is_away:
                logger.warning("Redis is away (%s): who waits for a job sees its changes a little later", absence)
            self._is_away, self._next_try = True, time.monotonic() + _AWAY_SECONDS
            return
        self._is_away = False


class ChangeFeed:
    """Lets a process that does nothing else wait for changes of some jobs. It listens from `with` on."""

    def __init__(self, ids: Collection[int]) -> None:
        self._ids = frozenset(ids)
        self._subscription: Any = None
        self._next_try = self._looked = 0.0

    @property
    def is_told(self) -> bool:
        """Whether changes are told, so that it need not look often."""
        return self._subscription is not None

    def __enter__(self) -> ChangeFeed:
        self._subscribe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def wait(self, seconds: float) -> None:
        """Returns when one of the jobs has, or may have, changed since the last call, or when the time is over.

        Changes that follow each other fast are one; an end is told at once.
        """
        now = time.monotonic()
        if self._subscription is None and now >= self._next_try and self._subscribe():
            return
        try:
            self._until_told(now + seconds)
        except REDIS_AWAY:
            self._end()
        if self._subscription is None:
            time.sleep(max(0.0, now + seconds - time.monotonic()))
        self._looked = time.monotonic()

    def _until_told(self, deadline: float) -> None:
        """Raises `REDIS_AWAY`."""
        is_told = False
        while self._subscription is not None and (left := deadline - time.monotonic()) > 0:
            told = self._told_within(left)
            if any(told.values()):
                return
            if told and not is_told:
                is_told, deadline = True, min(deadline, self._looked + BETWEEN_SECONDS)

    def _told_within(self, seconds: float) -> Changes:
        message = self._subscription.get_message(timeout=seconds)
        if message is None or message["type"] != "message":
            return {}
        changes = changes_in(message["data"].decode(errors="replace"))
        return {job_id: is_over for job_id, is_over in changes.items() if job_id in self._ids}

    def _subscribe(self) -> bool:
        subscription = _client().pubsub()
        try:
            subscription.subscribe(channel_for(_client()))
            # Its answer: from then on nothing is missed.
            subscription.get_message(timeout=_TIMEOUT_SECONDS)
        except REDIS_AWAY:
            self._next_try = time.monotonic() + _AWAY_SECONDS
            subscription.close()
            return False
        self._subscription = subscription
        return True

    def _end(self) -> None:
        if self._subscription is not None:
            with suppress(*REDIS_AWAY):
                self._subscription.close()
        self._subscription, self._next_try = None, time.monotonic() + _AWAY_SECONDS
