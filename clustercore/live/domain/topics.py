"""What can be followed live: a topic is loaded, rendered and allowed by the room that registered it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from clustercore.access.domain.identity import Identity
from clustercore.live.domain.activity import Activity

Facts = Mapping[str, Any]
"""What a topic knows of one key at one moment. Compared with `==` to see a change."""
Known = Mapping[str, Facts | None]
"""The keys to load, each with the facts that the last look found; None at first."""
State = Mapping[str, Any]
"""Plain JSON values: what programs get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePart:
    """One element of a page. It is made again only when what it is made of has changed."""

    id: str
    """The `id` of the element that it replaces, and of its own outermost element."""
    of: Any
    """What it shows, compared with `==`."""
    make: Callable[[], str]
    """Renders it."""
    every: float = 0.0
    """A costly part is made at most once in so many seconds; the last change is never left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A family of things to follow, `name` or `name:key`."""

    name: str
    allowed: Callable[[Identity, str], bool]
    """Whether somebody may follow this key; asked when following begins and every minute after. Reads the ledger."""
    load: Callable[[Known], Mapping[str, Facts]]
    """The facts of each key now, in a fixed number of queries; a key that is missing from the answer is gone.

    A loader that can tell cheaply that nothing changed gives back the facts that it was given.
    """
    state: Callable[[str, Facts], State]
    """What programs get, made once for all who follow the key."""
    parts: Callable[[str, Facts], Sequence[PagePart]]
    """What pages get, made once for all who follow the key."""
    every: float = 0.0
    """Seconds between two looks, for what costs the ledger much and is not followed step by step; 0: every look."""
    activity: Callable[[], Activity] | None = None
    """Tells cheaply whether a look can find anything; without it the topic is looked at each time. Reads the ledger."""
    concerns: Callable[[str, Set[int]], bool] | None = None
    """Whether changes of these jobs are changes of the key, so that it is looked at when it is told of them; without it
    nobody tells, and it is looked at now and then."""
    per_identity: bool = False
    """Whether each person sees something else: then `load` gets `viewer_key(identity, key)` for a key."""


_TOPICS: dict[str, Topic] = {}


def register_topic(topic: Topic) -> None:
    """Makes a topic known; the same name twice is a mistake. Raises ValueError."""
    if topic.name in _TOPICS:
        raise ValueError(f"a topic named {topic.name!r} is already registered")
    _TOPICS[topic.name] = topic


def topic_named(name: str) -> Topic | None:
    """The topic, or None."""
    return _TOPICS.get(name)


def split_address(address: str) -> tuple[str, str]:
    """`job:7` is the topic `job` and the key `7`; `jobs` has the empty key."""
    name, _, key = address.partition(":")
    return name, key
