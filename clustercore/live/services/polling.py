"""One look at the ledger, in a thread: what is followed is loaded if it can have changed, and changes are rendered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connections

from clustercore.live.domain.activity import Activity
from clustercore.live.domain.topics import Facts, PagePart, State, Topic

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 1.0
"""A topic that costs much is left alone for as long as it last kept a processor busy, here or at the ledger (half of
the time that it took, at a guess), and no longer than this."""
SHORTEST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 2.0
"""Something was written, but no news: the topic is looked at again after so long, longer each time nothing is found."""
LONGEST_UNREAD_SECONDS = 10.0
"""Nothing was written: the topic is looked at all the same, for what changes with time alone."""


@dataclass(frozen=True, slots=True)
class Key:
    """One thing to follow: `address` as subscriptions name it, `key` as the topic's loader takes it."""

    topic: Topic
    key: str
    address: str = field(compare=False)

    def __hash__(self) -> int:
        return hash((self.topic.name, self.key))


@dataclass(frozen=True, slots=True)
class RenderedPart:
    """A part as it was last made. `version` counts the changes of its key."""

    of: Any
    html: str
    at: float
    version: int = 0


RenderedParts = Mapping[str, RenderedPart]


@dataclass(frozen=True, slots=True)
class PollRequest:
    """What is to be looked at: a key, and what is known of it. `is_new`: somebody waits for it, changed or not."""

    key: Key
    facts: Facts | None
    state: State | None
    parts: RenderedParts
    is_new: bool
    is_overdue: bool
    """A part was left as it was, because it had been made just before."""
    for_pages: bool
    for_programs: bool
    is_told: bool = False
    """It was told that this has changed."""
    has_ended: bool = False
    """It was told that a job has ended that this has to do with."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a look found to be new; `facts` None when the key is gone. The state is made only for programs."""

    asked: PollRequest
    facts: Facts | None
    state: State | None = None
    parts: RenderedParts = field(default_factory=dict)
    is_overdue: bool = False


@dataclass(slots=True)
class _Seen:
    """The activity before the last look at a topic, when that was, and the least pause after it."""

    activity: Activity
    at: float
    backoff: float = 0.0

    def is_worth_another(self, now: Activity, at: float) -> bool:
        """Whether a look can find anything new, or has been put off for long enough."""
        if now.is_working or self.activity.is_working or now.mark != self.activity.mark:
            return True
        age = at - self.at
        return age >= LONGEST_UNREAD_SECONDS or (now.written != self.activity.written and age >= self.backoff)


class Poller:
    """Looks, and remembers what each topic costs and the activity before it. One look at a time."""

    def __init__(self) -> None:
        self.is_idle = False
        """Whether the last look was not worth while for any topic."""
        self.is_behind = False
        """Whether something was left for a later look, though it may have changed."""
        self._told: set[str] = set()
        """The topics that have changed since they were looked at, as was told."""
        self._due: dict[str, float] = {}
        self._seen: dict[str, _Seen] = {}
        self._complained: set[str] = set()

    def look(self, asked: Sequence[PollRequest]) -> list[Change]:
        """The fixed number of queries of each topic. Raises OperationalError, InterfaceError: the ledger is away."""
        by_topic: dict[str, list[PollRequest]] = {}
        for one in asked:
            by_topic.setdefault(one.key.topic.name, []).append(one)
        found: list[Change] = []
        self.is_idle, self.is_behind = True, False
        self._told |= {one.key.topic.name for one in asked if one.is_told}
        activities: dict[Callable[[], Activity], Activity] = {}
        try:
            for together in by_topic.values():
                topic = together[0].key.topic
                if topic.activity is not None and topic.activity not in activities:
                    activities[topic.activity] = topic.activity()
                activity = activities[topic.activity] if topic.activity is not None else None
                if not self._is_worth_a_look(together, activity):
                    continue
                if not _is_awaited(together) and time.monotonic() < self._due.get(topic.name, 0.0):
                    self.is_idle, self.is_behind = False, True
                    continue
                news = self._look_at(together)
                self._told.discard(topic.name)
                self.is_behind = self.is_behind or any(one.is_overdue for one in news)
                self._note(topic.name, activity, bool(news))
                self.is_idle = self.is_idle and activity is not None and not activity.is_working and not news
                found += news
        finally:
            # No request of Django's ends here: this gives the thread's connection back to the pool.
            connections.close_all()
        return found

    def _is_worth_a_look(self, together: Sequence[PollRequest], activity: Activity | None) -> bool:
        name = together[0].key.topic.name
        if name in self._told or any(one.is_new or one.is_overdue for one in together):
            return True
        seen = self._seen.get(name)
        if activity is None or seen is None:
            return True
        return seen.is_worth_another(activity, time.monotonic())

    def _note(self, name: str, activity: Activity | None, is_new_state: bool) -> None:
        if activity is None:
            return
        before = self._seen.get(name)
        backoff = 0.0 if is_new_state or before is None else max(SHORTEST_BACKOFF_SECONDS, 2 * before.backoff)
        self._seen[name] = _Seen(activity, time.monotonic(), min(backoff, LONGEST_BACKOFF_SECONDS))

    def _look_at(self, together: Sequence[PollRequest]) -> list[Change]:
        topic = together[0].key.topic
        began, worked = time.monotonic(), time.thread_time()
        try:
            facts = topic.load({one.key.key: one.facts for one in together})
            found = [new for one in together if (new := _found(one, facts.get(one.key.key))) is not None]
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # One topic's mistake must not silence the others; it is told once, not four times a second.
            if topic.name not in self._complained:
                logger.exception("the topic %s cannot be shown", topic.name)
            self._complained.add(topic.name)
            return []
        self._complained.discard(topic.name)
        ended = time.monotonic()
        cost = max(time.thread_time() - worked, (ended - began) / 2)
        self._due[topic.name] = max(began + topic.every, ended + min(cost, LONGEST_PAUSE_SECONDS))
        return found


def _is_awaited(together: Sequence[PollRequest]) -> bool:
    """Whether somebody knows nothing yet, or waits for an end."""
    return any(one.is_new or one.has_ended for one in together)


def _found(asked: PollRequest, facts: Facts | None) -> Change | None:
    """What is new of a key, if anything is."""
    is_changed = asked.is_new or facts != asked.facts
    if not is_changed and not asked.is_overdue:
        return None
    if facts is None:
        return Change(asked, None)
    topic, key = asked.key.topic, asked.key.key
    made = (
        [(part.id, *_made(part, asked.parts.get(part.id))) for part in topic.parts(key, facts)]
        if asked.for_pages
        else []
    )
    if not is_changed and all(part.version for _, part, _ in made):
        return None
    state = topic.state(key, facts) if is_changed and asked.for_programs else asked.state
    parts = {name: part for name, part, _ in made}
    return Change(asked, facts, state, parts, any(is_overdue for _, _, is_overdue in made))


def _made(part: PagePart, before: RenderedPart | None) -> tuple[RenderedPart, bool]:
    """The part, and whether it should have been made again but it is too early."""
    if before is not None and before.of == part.of:
        return before, False
    now = time.monotonic()
    if before is not None and now < before.at + part.every:
        return before, True
    html = part.make()
    return RenderedPart(part.of, html, now, before.version if before is not None and before.html == html else 0), False
