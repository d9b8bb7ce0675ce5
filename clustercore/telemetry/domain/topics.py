"""What can be followed live: a topic is loaded, rendered and allowed by the room that registered it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clustercore.access.domain.identity import Identity

State = Mapping[str, Any]
"""Plain JSON values: what programs get."""
Fragments = Mapping[str, str]
"""HTML by the `id` of the element that it replaces: what pages get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A family of things to follow, `name` or `name:key`."""

    name: str
    allowed: Callable[[Identity, str], bool]
    """Whether somebody may follow this key; asked once, when following begins."""
    load: Callable[[Sequence[str]], Mapping[str, State]]
    """The state of each key now, for all keys that anybody follows, in a fixed number of queries."""
    render: Callable[[str, State], Fragments]
    """The page's parts, made once for all who follow the key."""
    per_identity: bool = False
    """Whether each user sees something else: then the key is `<key>@<user id>`, which `allowed` checks."""


_TOPICS: dict[str, Topic] = {}


def register_topic(topic: Topic) -> None:
    """Makes a topic known; the same name twice is a mistake. Raises ValueError."""
    if topic.name in _TOPICS:
        raise ValueError(f"a topic named {topic.name!r} is already registered")
    _TOPICS[topic.name] = topic


def topic_named(name: str) -> Topic | None:
    """The topic, or None."""
    return _TOPICS.get(name)
