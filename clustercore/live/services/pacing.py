"""When to look again: soon after something was told, at once after an end, and seldom while nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from clustercore.live.domain.changes import Changes
from clustercore.live.services.polling import Key

LOOK_SECONDS = 0.25
"""Between two looks while anything happens and nobody tells of it, or while there is more to look at."""
IDLE_LOOK_SECONDS = 1.0
"""Between two looks when nothing has happened for a while, to which it grows; and where changes are told."""
SHORTEST_PAUSE_SECONDS = 0.05
"""Between two looks, however many new subscriptions ask for one."""
PAUSE_PER_LOOK = 3
"""What is told waits for so many times as long as the last look took, and no longer than where nobody tells."""


class Pacing:
    """Gathers what is told between two looks, and waits until the next is due."""

    def __init__(self) -> None:
        self.told: set[Key] = set()
        """Keys that have changed since the last look began, as was told."""
        self.over: set[Key] = set()
        """Those of them with which a job has to do that has ended: people wait for that."""
        self._new = asyncio.Event()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._was_hurried = False
        self._pause_seconds = LOOK_SECONDS

    def look_soon(self) -> None:
        """Somebody new follows, or nobody any more."""
        self._new.set()

    def hear(self, changes: Changes | None, followed: Collection[Key]) -> None:
        """Notes which of what is followed has changed, or may have, and ends the pause."""
        told = {key for key in followed if _concerns(key, changes)}
        ended = {number: True for number, is_over in (changes or {}).items() if is_over}
        self.told |= told
        self.over |= {key for key in told if ended and _concerns(key, ended)}
        if told:
            self._changed.set()
        if self.over:
            self._ended.set()

    def begin_look(self) -> None:
        """Whatever is told from now on asks for another one."""
        for event in (self._new, self._changed, self._ended):
            event.clear()

    def forget_told(self) -> None:
        """The look that begins knows of it."""
        self.told.clear()
        self.over.clear()

    def next_pause(self, *, is_told: bool, is_behind: bool, is_idle: bool) -> float:
        """Returns the seconds from the beginning of a look to that of the next, if nothing ends the pause before."""
        if is_told:
            self._pause_seconds = LOOK_SECONDS if is_behind else IDLE_LOOK_SECONDS
        else:
            self._pause_seconds = min(self._pause_seconds * 1.5, IDLE_LOOK_SECONDS) if is_idle else LOOK_SECONDS
        return self._pause_seconds

    async def wait(self, ended: float, due: float, took: float) -> None:
        """Until it is due, something was told, or somebody new follows; what is told leaves the ledger some rest.

        An end leaves it none, but for ends that follow each other at once. `ended` is when the last look did.
        """
        await _any_of(self._ended, self._new, self._changed, until=due)
        if self._changed.is_set():
            quiet = min(max(PAUSE_PER_LOOK * took, SHORTEST_PAUSE_SECONDS), LOOK_SECONDS)
            await _any_of(self._ended, self._new, until=ended + quiet)
        shortest, clock = ended + SHORTEST_PAUSE_SECONDS, asyncio.get_running_loop().time
        if self._was_hurried:
            await asyncio.sleep(shortest - clock())
        else:
            await _any_of(self._ended, until=shortest)
        self._was_hurried = clock() < shortest


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
