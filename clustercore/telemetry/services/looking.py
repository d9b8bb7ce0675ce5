"""One look at the ledger, in a thread: what is followed is loaded, and what changed is rendered."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connections

from clustercore.telemetry.domain.topics import Facts, Part, State, Topic

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 1.0
"""A topic that costs much is left alone for as long as it last kept a processor busy, here or at the ledger (half of
the time that it took, at a guess), and no longer than this."""


@dataclass(frozen=True, slots=True)
class Key:
    """One thing to follow: `address` as followers name it, `key` as the topic's loader takes it."""

    topic: Topic
    key: str
    address: str = field(compare=False)

    def __hash__(self) -> int:
        return hash((self.topic.name, self.key))


@dataclass(frozen=True, slots=True)
class Made:
    """A part as it was last made. `version` counts the changes of its key."""

    of: Any
    html: str
    at: float
    version: int = 0


Parts = Mapping[str, Made]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be looked at: a key, and what is known of it. `is_new`: somebody waits for it, changed or not."""

    key: Key
    facts: Facts | None
    state: State | None
    parts: Parts
    is_new: bool
    is_overdue: bool
    """A part was left as it was, because it had been made just before."""
    for_pages: bool
    for_programs: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found to be new; `facts` None when the key is gone. The state is made only for programs."""

    asked: Asked
    facts: Facts | None
    state: State | None = None
    parts: Parts = field(default_factory=dict)
    is_overdue: bool = False


class Looker:
    """Looks, and remembers what each topic costs. One look at a time."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._complained: set[str] = set()

    def look(self, asked: Sequence[Asked]) -> list[Found]:
        """The fixed number of queries of each topic. Raises OperationalError, InterfaceError: the ledger is away."""
        by_topic: dict[str, list[Asked]] = {}
        for one in asked:
            by_topic.setdefault(one.key.topic.name, []).append(one)
        found: list[Found] = []
        try:
            for name, together in by_topic.items():
                if any(one.is_new for one in together) or time.monotonic() >= self._due.get(name, 0.0):
                    found += self._look_at(together)
        finally:
            # No request of Django's ends here: this gives the thread's connection back to the pool.
            connections.close_all()
        return found

    def _look_at(self, together: Sequence[Asked]) -> list[Found]:
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


def _found(asked: Asked, facts: Facts | None) -> Found | None:
    """What is new of a key, if anything is."""
    is_changed = asked.is_new or facts != asked.facts
    if not is_changed and not asked.is_overdue:
        return None
    if facts is None:
        return Found(asked, None)
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
    return Found(asked, facts, state, parts, any(is_overdue for _, _, is_overdue in made))


def _made(part: Part, before: Made | None) -> tuple[Made, bool]:
    """The part, and whether it should have been made again but it is too early."""
    if before is not None and before.of == part.of:
        return before, False
    now = time.monotonic()
    if before is not None and now < before.at + part.every:
        return before, True
    html = part.make()
    return Made(part.of, html, now, before.version if before is not None and before.html == html else 0), False
