"""One watcher in each web process: it looks at the ledger while anybody follows, and tells each follower the newest.

Nothing is queued: a follower holds the names of the topics that changed, and takes their state when it is ready to send
it. However slow it is, it keeps as many names as it follows topics, and misses steps in between, never the last.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError

from clustercore.jobs.adapters.notices import notices_here
from clustercore.jobs.domain.changes import Changes
from clustercore.telemetry.domain.topics import Facts, State
from clustercore.telemetry.services.looking import Asked, Found, Key, Looker, Parts

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""Between two looks while anything happens and nobody tells of it, or while there is more to look at."""
IDLE_LOOK_SECONDS = 1.0
"""Between two looks when nothing has happened for a while, to which it grows; and where changes are told."""
AWAY_SECONDS = 1.0
"""Between two looks while the ledger does not answer."""
SILENCE_SECONDS = 3.0
"""A look that takes longer is told to the followers; it goes on."""
SHORTEST_PAUSE_SECONDS = 0.05
"""Between two looks, however many new followers ask for one."""
PAUSE_PER_LOOK = 3
"""What is told waits for so many times as long as the last look took, and no longer than where nobody tells."""
AWAY = "The ledger does not answer; trying again."


@dataclass(slots=True, eq=False)
class Watched:
    """What is known of a key that somebody follows. `version` grows with each change; 0 before the first look."""

    version: int = 0
    facts: Facts | None = None
    """None before the first look, and when the key is gone."""
    state: State | None = None
    """None while only pages follow."""
    parts: Parts = field(default_factory=dict)
    """By element id, each with the version in which it last changed."""
    is_overdue: bool = False
    followers: set[Follower] = field(default_factory=set)
    messages: dict[int, str] = field(default_factory=dict)
    """For pages, by the version that a follower knew before; forgotten with each change."""

    @property
    def is_gone(self) -> bool:
        return self.version > 0 and self.facts is None

    def is_ready_for(self, follower: Follower) -> bool:
        """Whether a follower can be told something at once, rather than after the next look."""
        return self.is_gone or (bool(self.parts) if follower.pages else self.state is not None)

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


class Follower:
    """Somebody who follows a list of keys. Use it in the event loop that made it, and close it."""

    def __init__(self, watcher: Watcher, *, pages: bool) -> None:
        self.pages = pages
        self._watcher = watcher
        self._seen: dict[Key, int] = {}
        self._changed: dict[Key, None] = {}
        self._notice: str | None = None
        self._wake = asyncio.Event()

    def follow(self, keys: Iterable[Key]) -> None:
        """Replaces the list. What is known of a new key is there at once, whole."""
        wanted = list(dict.fromkeys(keys))
        for key in [key for key in self._seen if key not in wanted]:
            self._watcher.leave(key, self)
            del self._seen[key]
            self._changed.pop(key, None)
        for key in wanted:
            if key not in self._seen:
                self._seen[key] = 0
                self._watcher.join(key, self)

    async def news(self) -> list[tuple[Key, Watched, int]]:
        """Waits for changes; each key with what is known now and the version that this follower knew before."""
        while not self._changed and self._notice is None:
            self._wake.clear()
            await self._wake.wait()
        found = []
        for key in self._changed:
            watched = self._watcher.watched[key]
            found.append((key, watched, self._seen[key]))
            self._seen[key] = watched.version
        self._changed.clear()
        return found

    def take_notice(self) -> str | None:
        """What the follower should be told of the watcher itself, once; empty when all is well again."""
        notice, self._notice = self._notice, None
        return notice

    def close(self) -> None:
        """Follows nothing any more."""
        self.follow([])
        self._watcher.notified.discard(self)

    def tell(self, key: Key) -> None:
        """There is something newer."""
        self._changed[key] = None
        self._wake.set()

    def notify(self, notice: str) -> None:
        """As `take_notice` gives it."""
        self._notice = notice
        self._wake.set()


class Watcher:
    """Looks while somebody follows. One for each event loop: `watcher_here`."""

    def __init__(self) -> None:
        self.watched: dict[Key, Watched] = {}
        self.notified: set[Follower] = set()
        """Who was told that the ledger is away, and is to be told when it is back."""
        self._version = 0
        self._unlooked: set[Key] = set()
        """Keys with a follower that knows nothing yet: the next look tells them, changed or not."""
        self._new = asyncio.Event()
        self._told: set[Key] = set()
        """Keys that have changed since the last look began, as was told."""
        self._changed = asyncio.Event()
        self._over: set[Key] = set()
        """Keys that a job has to do with which has ended since the last look began, as was told: people wait for it."""
        self._ended = asyncio.Event()
        self._was_hurried = False
        self._task: asyncio.Task[None] | None = None
        self._looker = Looker()

    @property
    def is_running(self) -> bool:
        """Whether anything is looked at."""
        return self._task is not None

    def join(self, key: Key, follower: Follower) -> None:
        """Starts watching with the first follower."""
        watched = self.watched.setdefault(key, Watched())
        watched.followers.add(follower)
        if watched.is_ready_for(follower):
            follower.tell(key)
        else:
            self._unlooked.add(key)
            self._new.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch(), name="telemetry-watcher")

    def leave(self, key: Key, follower: Follower) -> None:
        """Nobody follows it: it is forgotten."""
        watched = self.watched[key]
        watched.followers.discard(follower)
        if not watched.followers:
            del self.watched[key]
            self._unlooked.discard(key)
        if not self.watched:
            self._new.set()

    async def _watch(self) -> None:
        clock, pause = asyncio.get_running_loop().time, LOOK_SECONDS
        notices = notices_here()
        notices.listen(self._hear)
        try:
            while self.watched:
                self._new.clear()
                self._changed.clear()
                self._ended.clear()
                began = clock()
                if await self._look():
                    pause = self._next_pause(pause, is_told=notices.are_told)
                    due = began + pause
                else:
                    due = clock() + AWAY_SECONDS
                ended = clock()
                await self._pause(ended, due, PAUSE_PER_LOOK * (ended - began))
        finally:
            notices.leave(self._hear)
            self._task = None

    def _next_pause(self, last: float, *, is_told: bool) -> float:
        if is_told:
            return LOOK_SECONDS if self._looker.is_behind else IDLE_LOOK_SECONDS
        return min(last * 1.5, IDLE_LOOK_SECONDS) if self._looker.is_idle else LOOK_SECONDS

    async def _pause(self, ended: float, due: float, rest: float) -> None:
        """Until it is due, something was told, or somebody new follows; what is told leaves the ledger some rest.

        An end leaves it none, but for ends that follow each other at once.
        """
        await _any_of(self._ended, self._new, self._changed, until=due)
        if self._changed.is_set():
            quiet = min(max(rest, SHORTEST_PAUSE_SECONDS), LOOK_SECONDS)
            await _any_of(self._ended, self._new, until=ended + quiet)
        shortest, clock = ended + SHORTEST_PAUSE_SECONDS, asyncio.get_running_loop().time
        if self._was_hurried:
            await asyncio.sleep(shortest - clock())
        else:
            await _any_of(self._ended, until=shortest)
        self._was_hurried = clock() < shortest

    def _hear(self, changes: Changes | None) -> None:
        """Notes which of what is followed has changed, or may have, and wakes whoever looks."""
        told = {key for key in self.watched if _concerns(key, changes)}
        ended = {job_id: True for job_id, is_over in (changes or {}).items() if is_over}
        self._told |= told
        self._over |= {key for key in told if ended and _concerns(key, ended)}
        if told:
            self._changed.set()
        if self._over:
            self._ended.set()

    async def _look(self) -> bool:
        """One look at everything that is followed; whether the ledger answered."""
        asked = [*map(self._asked, self.watched)]
        self._told.clear()
        self._over.clear()
        looking = asyncio.ensure_future(asyncio.to_thread(self._looker.look, asked))
        try:
            done, _ = await asyncio.wait({looking}, timeout=SILENCE_SECONDS)
            if not done:
                self._say(AWAY)
            found = await looking
        except (OperationalError, InterfaceError) as error:
            logger.warning("live data: %s", error)
            self._say(AWAY)
            return False
        except Exception:
            # Whatever it was: who follows must not be left with a picture that stands still.
            logger.exception("live data")
            self._say(AWAY)
            return False
        self._say("")
        for one in found:
            self._apply(one)
        return True

    def _asked(self, key: Key) -> Asked:
        watched = self.watched[key]
        return Asked(
            key=key,
            facts=watched.facts,
            state=watched.state,
            parts=watched.parts,
            is_new=key in self._unlooked,
            is_overdue=watched.is_overdue,
            for_pages=any(one.pages for one in watched.followers),
            for_programs=not all(one.pages for one in watched.followers),
            is_told=key in self._told,
            has_ended=key in self._over,
        )

    def _say(self, notice: str) -> None:
        everybody = {follower for watched in self.watched.values() for follower in watched.followers}
        if notice:
            new = everybody - self.notified
            self.notified |= new
        else:
            new, self.notified = self.notified & everybody, set()
        for follower in new:
            follower.notify(notice)

    def _apply(self, found: Found) -> None:
        key = found.asked.key
        watched = self.watched.get(key)
        if watched is None:
            return
        self._version += 1
        watched.version = self._version
        watched.facts, watched.state, watched.is_overdue = found.facts, found.state, found.is_overdue
        watched.parts = {
            name: part if part.version else replace(part, version=self._version) for name, part in found.parts.items()
        }
        watched.messages.clear()
        if all(map(watched.is_ready_for, watched.followers)):
            self._unlooked.discard(key)
        for follower in watched.followers:
            follower.tell(key)


async def _any_of(*events: asyncio.Event, until: float) -> None:
    """Waits for one of them, or until that time of the event loop's clock."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        timeout = max(0.0, until - asyncio.get_running_loop().time())
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


def _concerns(key: Key, changes: Changes | None) -> bool:
    concerns = key.topic.concerns
    return concerns is not None and (changes is None or concerns(key.key, changes.keys()))


_WATCHERS: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()


def watcher_here() -> Watcher:
    """The watcher of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _WATCHERS:
        _WATCHERS[loop] = Watcher()
    return _WATCHERS[loop]
