"""One broadcaster in each web process: it looks at the ledger while anybody follows, and tells all who do."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError

from clustercore.live.adapters.notices import notices_here
from clustercore.live.domain.changes import Changes
from clustercore.live.services.pacing import Pacing
from clustercore.live.services.polling import Change, Key, Poller, PollRequest
from clustercore.live.services.subscriptions import Subscription, TopicState

logger = logging.getLogger(__name__)

AWAY_SECONDS = 1.0
"""Between two looks while the ledger does not answer."""
SILENCE_SECONDS = 3.0
"""A look that takes longer is told to the subscriptions; it goes on."""
AWAY = "The ledger does not answer; trying again."


class Broadcaster:
    """Looks while somebody follows. One for each event loop: `broadcaster_here`."""

    def __init__(self) -> None:
        self.states: dict[Key, TopicState] = {}
        self._notified: set[Subscription] = set()
        """Who was told that the ledger is away, and is to be told when it is back."""
        self._version = 0
        self._unlooked: set[Key] = set()
        """Keys with a subscription that knows nothing yet: the next look tells them, changed or not."""
        self._pacing = Pacing()
        self._task: asyncio.Task[None] | None = None
        self._poller = Poller()

    @property
    def is_running(self) -> bool:
        """Whether anything is looked at."""
        return self._task is not None

    def join(self, key: Key, subscription: Subscription) -> None:
        """Starts to look with the first subscription."""
        state = self.states.setdefault(key, TopicState())
        state.subscriptions.add(subscription)
        if state.is_ready_for(subscription):
            subscription.tell(key)
        else:
            self._unlooked.add(key)
            self._pacing.look_soon()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="live-broadcaster")

    def leave(self, key: Key, subscription: Subscription) -> None:
        """Nobody follows it: it is forgotten."""
        state = self.states[key]
        state.subscriptions.discard(subscription)
        if not state.subscriptions:
            del self.states[key]
            self._unlooked.discard(key)
        if not self.states:
            self._pacing.look_soon()

    def forget(self, subscription: Subscription) -> None:
        """It is closed."""
        self._notified.discard(subscription)

    def hear(self, changes: Changes | None) -> None:
        """Is told what has changed; None where anything may have, unheard."""
        self._pacing.hear(changes, self.states)

    async def _run(self) -> None:
        clock, pacing, notices = asyncio.get_running_loop().time, self._pacing, notices_here()
        notices.listen(self.hear)
        try:
            while self.states:
                pacing.begin_look()
                began = clock()
                answered = await self._look()
                poller, ended = self._poller, clock()
                pause = pacing.next_pause(is_told=notices.are_told, is_behind=poller.is_behind, is_idle=poller.is_idle)
                await pacing.wait(ended, began + pause if answered else ended + AWAY_SECONDS, ended - began)
        finally:
            notices.leave(self.hear)
            self._task = None

    async def _look(self) -> bool:
        """One look at everything that is followed; whether the ledger answered."""
        asked = [*map(self._asked, self.states)]
        self._pacing.forget_told()
        looking = asyncio.ensure_future(asyncio.to_thread(self._poller.look, asked))
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

    def _asked(self, key: Key) -> PollRequest:
        state = self.states[key]
        return PollRequest(
            key=key,
            facts=state.facts,
            state=state.state,
            parts=state.parts,
            is_new=key in self._unlooked,
            is_overdue=state.is_overdue,
            for_pages=any(one.pages for one in state.subscriptions),
            for_programs=not all(one.pages for one in state.subscriptions),
            is_told=key in self._pacing.told,
            has_ended=key in self._pacing.over,
        )

    def _say(self, notice: str) -> None:
        everybody = {subscription for state in self.states.values() for subscription in state.subscriptions}
        if notice:
            new = everybody - self._notified
            self._notified |= new
        else:
            new, self._notified = self._notified & everybody, set()
        for subscription in new:
            subscription.notify(notice)

    def _apply(self, found: Change) -> None:
        key = found.asked.key
        state = self.states.get(key)
        if state is None:
            return
        self._version += 1
        state.version = self._version
        state.facts, state.state, state.is_overdue = found.facts, found.state, found.is_overdue
        state.parts = {
            name: part if part.version else replace(part, version=self._version) for name, part in found.parts.items()
        }
        state.messages.clear()
        if all(map(state.is_ready_for, state.subscriptions)):
            self._unlooked.discard(key)
        for subscription in state.subscriptions:
            subscription.tell(key)


_BROADCASTERS: WeakKeyDictionary[asyncio.AbstractEventLoop, Broadcaster] = WeakKeyDictionary()


def broadcaster_here() -> Broadcaster:
    """The broadcaster of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _BROADCASTERS:
        _BROADCASTERS[loop] = Broadcaster()
    return _BROADCASTERS[loop]
