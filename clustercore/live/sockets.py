"""Live data for pages: one WebSocket at /live, on which a page says what it follows and gets what changed.

    page:   {"follow": ["job:7", "jobs"]}                          replaces the list
    server: {"topic": "job:7", "version": 12, "html": {"job-7-status": "<section …>"}}   whole, then what changed
            {"topic": "job:9", "error": "there is no …"}           not there, or not theirs to see
            {"notice": "The ledger does not answer; …"}            empty when it is back
            {"beat": 20}                                           at least every so many seconds

It closes with 4401 when nobody is signed in (any more), and with 4403 when the role allows nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError

from clustercore.access.domain.errors import NotIdentified, NotPermitted, Refused
from clustercore.access.domain.identity import ANONYMOUS, Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import identity_of_scope
from clustercore.access.services.async_waiting import in_thread
from clustercore.live.services.broadcasting import broadcaster_here
from clustercore.live.services.streaming import RECHECK_SECONDS, key_for
from clustercore.live.services.subscriptions import Subscription

logger = logging.getLogger(__name__)

MOST_TOPICS = 50
LONGEST_MESSAGE = 16_384
MOST_MISTAKES = 5
MOST_CONNECTIONS = 400
"""Of one person in this process: more than anybody's browsers open, fewer than would harm the others."""
BEAT_SECONDS = 20
LEAST_SECONDS_BETWEEN_LISTS = 0.1

NOBODY, NOT_ALLOWED, TOO_MANY, MISUSED = 4401, 4403, 4429, 4400
TRY_LATER = 1013
"""The protocol's own: try again later."""

_open: Counter[int | None] = Counter()


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One page. Two tasks beside it: one sends what is new, one asks every minute whether it still may."""

    async def connect(self) -> None:
        self.identity: Identity = ANONYMOUS
        self.subscription: Subscription | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.addresses: list[str] = []
        self.mistakes = 0
        await self.accept()
        try:
            identity = await self._identify()
        except DatabaseError:
            await self.close(TRY_LATER, reason="the ledger does not answer; try again")
            return
        if identity is None:
            return
        _open[identity.user_id] += 1
        self.identity = identity
        if _open[identity.user_id] > MOST_CONNECTIONS:
            await self.close(TOO_MANY, reason="too many connections: close some pages")
            return
        self.subscription = Subscription(broadcaster_here(), pages=True)
        self.tasks = [asyncio.create_task(one) for one in (self._send_changes(self.subscription), self._recheck())]

    async def disconnect(self, code: int) -> None:  # noqa: ARG002
        for task in self.tasks:
            task.cancel()
        if self.subscription is not None:
            self.subscription.close()
        if self.identity.is_known:
            _open[self.identity.user_id] -= 1
            if not _open[self.identity.user_id]:
                del _open[self.identity.user_id]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.subscription is None:
            return
        wanted = _wanted(text_data if bytes_data is None else None)
        if isinstance(wanted, str):
            self.mistakes += 1
            await self._tell({"error": wanted})
            if self.mistakes >= MOST_MISTAKES:
                await self.close(MISUSED, reason="too many messages that mean nothing")
            return
        self.addresses = wanted
        await self._follow(self.subscription)
        await asyncio.sleep(LEAST_SECONDS_BETWEEN_LISTS)

    async def _follow(self, subscription: Subscription) -> None:
        identity, addresses = self.identity, self.addresses
        try:
            keys = await in_thread(lambda: [key_for(identity, address) for address in addresses])
        except DatabaseError:
            await self.close(TRY_LATER, reason="the ledger does not answer; try again")
            return
        for address, key in zip(addresses, keys, strict=True):
            if key is None:
                await self._tell({"topic": address, "error": "there is nothing of this name that you may follow"})
        subscription.follow([key for key in keys if key is not None])

    async def _send_changes(self, subscription: Subscription) -> None:
        # Sending fails once the other end is gone; that is told to `disconnect`, which ends this task.
        with suppress(OSError, RuntimeError):
            while True:
                await self._send_next(subscription)

    async def _send_next(self, subscription: Subscription) -> None:
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                news = await subscription.changes()
        except TimeoutError:
            await self._tell({"beat": BEAT_SECONDS})
            return
        notice = subscription.take_notice()
        if notice is not None:
            await self._tell({"notice": notice})
        for key, watched, known in news:
            message = watched.page_message(key.address, known)
            if message:
                await self.send(message)

    async def _recheck(self) -> None:
        """A person who was disabled, signed out or given another role, or whose token was revoked, loses the stream."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                identity = await self._identify()
            except DatabaseError:
                continue
            if identity is None:
                return
            self.identity = identity
            if self.subscription is not None:
                await self._follow(self.subscription)

    async def _identify(self) -> Identity | None:
        """Who this is; None when the connection was closed because they may not be here."""
        try:
            identity = await in_thread(lambda: identity_of_scope(self.scope))
        except Refused as refused:
            is_nobody = isinstance(refused, NotIdentified | NotPermitted)
            await self.close(NOBODY if is_nobody else TRY_LATER, reason=refused.message[:100])
            return None
        if not identity.is_known:
            await self.close(NOBODY, reason="sign in first")
            return None
        if not identity.may(Permission.VIEW):
            await self.close(NOT_ALLOWED, reason="your role or token does not allow it")
            return None
        return identity

    async def _tell(self, body: Mapping[str, Any]) -> None:
        await self.send(json.dumps(body))


def _wanted(text: str | None) -> list[str] | str:
    """The addresses that a message asks for, or what is wrong with it."""
    if text is None or len(text) > LONGEST_MESSAGE:
        return f"a message is JSON text of at most {LONGEST_MESSAGE} bytes"
    try:
        body = json.loads(text)
    except ValueError:
        return "that is not JSON"
    except RecursionError:
        return "that is not JSON that anybody needs"
    follow: Any = body.get("follow") if isinstance(body, dict) else None
    if not isinstance(follow, Sequence) or isinstance(follow, str) or not all(isinstance(one, str) for one in follow):
        return '{"follow": […]} with a list of topics is what is understood'
    if len(follow) > MOST_TOPICS:
        return f"at most {MOST_TOPICS} topics on one connection"
    return list(dict.fromkeys(follow))
