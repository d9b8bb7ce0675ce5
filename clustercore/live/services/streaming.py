"""Following by name: who may, and the state of a topic as programs get it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from rest_framework.utils.encoders import JSONEncoder

from clustercore.access.domain.errors import NotFound, Refused
from clustercore.access.domain.identity import Identity
from clustercore.access.services.async_waiting import in_thread, release_connection
from clustercore.live.domain.topics import State, split_address, topic_named
from clustercore.live.domain.viewers import viewer_key
from clustercore.live.services.broadcasting import broadcaster_here
from clustercore.live.services.polling import Key
from clustercore.live.services.subscriptions import Subscription, TopicState

KEEP_ALIVE_SECONDS = 15.0
RECHECK_SECONDS = 60.0
"""How often it is asked again whether somebody may still follow."""
LONGEST_ADDRESS = 200
Identify = Callable[[], Identity]
"""Who asks, asked anew each time; runs in a thread. Raises Refused for a token that opens nothing any more."""


def key_for(identity: Identity, address: str) -> Key | None:
    """What an address means for this person; None when there is no such topic or they may not follow it.

    Reads the ledger: call it in a thread.
    """
    name, key = split_address(address[:LONGEST_ADDRESS])
    topic = topic_named(name)
    if topic is None or not topic.allowed(identity, key):
        return None
    return Key(topic, viewer_key(identity, key) if topic.per_identity else key, address)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One thing that a program is told: a whole state, or a notice (the ledger is away; empty when it is back)."""

    state: State | None = None
    notice: str | None = None


async def follow(address: str, identify: Identify) -> AsyncGenerator[State, None]:
    """The state of a topic: whole at once, then whenever it changed; ends when the key is gone or no longer theirs.

    Raises NotFound when there is no such topic or they may not follow it, and what `identify` raises.
    """
    async with aclosing(events_of(address, identify)) as news:
        async for one in news:
            if one.state is not None:
                yield one.state


async def event_stream(
    address: str, identify: Identify, *, is_last: Callable[[State], bool] = lambda _state: False
) -> AsyncGenerator[str, None]:
    """Server-sent events: `progress` with the whole state as JSON, `notice`, `end`; a comment while nothing happens.

    It ends after the state that `is_last`, and when the key is gone or no longer theirs. Raises as `follow` does,
    before the first event.
    """
    await release_connection()
    async with aclosing(events_of(address, identify, remark_after=KEEP_ALIVE_SECONDS)) as news:
        async for one in news:
            if one.notice is not None:
                yield _event("notice", {"message": one.notice})
            elif one.state is None:
                yield ": still here\n\n"
            else:
                yield _event("progress", one.state)
                if is_last(one.state):
                    break
    yield _event("end", {})


async def events_of(
    address: str, identify: Identify, *, remark_after: float = RECHECK_SECONDS
) -> AsyncGenerator[StreamEvent, None]:
    """Everything a subscription is told; empty news when nothing happened for so many seconds."""
    key = await _require(address, identify)
    subscription = Subscription(broadcaster_here(), pages=False)
    clock = asyncio.get_running_loop().time
    due = clock() + RECHECK_SECONDS
    try:
        subscription.follow([key])
        while True:
            found = await _within(subscription, min(remark_after, max(0.0, due - clock())))
            notice = subscription.take_notice()
            if notice is not None:
                yield StreamEvent(notice=notice)
            for _, watched, _ in found:
                if watched.is_gone:
                    return
                if watched.state is not None:
                    yield StreamEvent(state=watched.state)
            if not found and notice is None:
                yield StreamEvent()
            if clock() >= due:
                if await _still(address, identify) != key:
                    return
                due = clock() + RECHECK_SECONDS
    finally:
        subscription.close()


async def _within(subscription: Subscription, seconds: float) -> list[tuple[Key, TopicState, int]]:
    try:
        async with asyncio.timeout(seconds):
            return await subscription.changes()
    except TimeoutError:
        return []


async def _still(address: str, identify: Identify) -> Key | None:
    """Whom nobody knows any more follows nothing."""
    try:
        return await in_thread(lambda: key_for(identify(), address))
    except Refused:
        return None


async def _require(address: str, identify: Identify) -> Key:
    key = await in_thread(lambda: key_for(identify(), address))
    if key is None:
        raise NotFound(f"there is no {address!r} to follow")
    return key


def _event(name: str, data: State) -> str:
    return f"event: {name}\ndata: {json.dumps(data, cls=JSONEncoder)}\n\n"
