"""Who follows: each keeps the names of the topics that changed, and takes their state when it is ready to send it.

Nothing is queued: however slow one is, it keeps as many names as it follows topics, and misses steps in between, never
the last.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from clustercore.live.domain.topics import Facts, State
from clustercore.live.services.polling import Key, RenderedParts


class Source(Protocol):
    """Where a subscription gets what it follows."""

    @property
    def states(self) -> Mapping[Key, TopicState]:
        """What is known of each key that somebody follows."""
        ...

    def join(self, key: Key, subscription: Subscription) -> None:
        """Counts one more who follows the key."""
        ...

    def leave(self, key: Key, subscription: Subscription) -> None:
        """Counts one less."""
        ...

    def forget(self, subscription: Subscription) -> None:
        """It is closed."""
        ...


@dataclass(slots=True, eq=False)
class TopicState:
    """What is known of a key that somebody follows. `version` grows with each change; 0 before the first look."""

    version: int = 0
    facts: Facts | None = None
    """None before the first look, and when the key is gone."""
    state: State | None = None
    """None while only pages follow."""
    parts: RenderedParts = field(default_factory=dict)
    """By element id, each with the version in which it last changed."""
    is_overdue: bool = False
    subscriptions: set[Subscription] = field(default_factory=set)
    messages: dict[int, str] = field(default_factory=dict)
    """For pages, by the version that a subscription knew before; forgotten with each change."""

    @property
    def is_gone(self) -> bool:
        return self.version > 0 and self.facts is None

    def is_ready_for(self, subscription: Subscription) -> bool:
        """Whether a subscription can be told something at once, rather than after the next look."""
        return self.is_gone or (bool(self.parts) if subscription.pages else self.state is not None)

    def page_message(self, address: str, known: int) -> str:
        """What changed after version `known`, as the JSON that pages get; made once for all who stand there.

        Empty when nothing did that a page shows.
        """
        if known not in self.messages:
            html = {name: part.html for name, part in self.parts.items() if part.version > known}
            body: dict[str, Any] = {"topic": address, "version": self.version, "html": html}
            shown = json.dumps(body | {"gone": True} if self.is_gone else body)
            self.messages[known] = shown if html or self.is_gone or not known else ""
        return self.messages[known]


class Subscription:
    """Somebody who follows a list of keys. Use it in the event loop that made it, and close it."""

    def __init__(self, source: Source, *, pages: bool) -> None:
        self.pages = pages
        self._source = source
        self._seen: dict[Key, int] = {}
        self._changed: dict[Key, None] = {}
        self._notice: str | None = None
        self._wake = asyncio.Event()

    def follow(self, keys: Iterable[Key]) -> None:
        """Replaces the list. What is known of a new key is there at once, whole."""
        wanted = list(dict.fromkeys(keys))
        for key in [key for key in self._seen if key not in wanted]:
            self._source.leave(key, self)
            del self._seen[key]
            self._changed.pop(key, None)
        for key in wanted:
            if key not in self._seen:
                self._seen[key] = 0
                self._source.join(key, self)

    async def changes(self) -> list[tuple[Key, TopicState, int]]:
        """Waits for changes; each key with what is known now and the version that this subscription knew before."""
        while not self._changed and self._notice is None:
            self._wake.clear()
            await self._wake.wait()
        found = []
        for key in self._changed:
            state = self._source.states[key]
            found.append((key, state, self._seen[key]))
            self._seen[key] = state.version
        self._changed.clear()
        return found

    def take_notice(self) -> str | None:
        """What the subscription should be told of the source itself, once; empty when all is well again."""
        notice, self._notice = self._notice, None
        return notice

    def close(self) -> None:
        """Follows nothing any more."""
        self.follow([])
        self._source.forget(self)

    def tell(self, key: Key) -> None:
        """There is something newer."""
        self._changed[key] = None
        self._wake.set()

    def notify(self, notice: str) -> None:
        """As `take_notice` gives it."""
        self._notice = notice
        self._wake.set()
