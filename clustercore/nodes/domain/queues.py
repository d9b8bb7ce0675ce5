"""The names of the queues that nodes listen to."""

from __future__ import annotations

import re

CAPABILITY_PREFIX = "cap."
NODE_PREFIX = "node."
ANY = "any"
"""The capability of work that needs no engine: every node has it."""
_CAPABILITY = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_CAPABILITY_QUEUE = re.compile(re.escape(CAPABILITY_PREFIX) + _CAPABILITY.pattern)
_NODE = re.compile(r"[^\x00-\x1f\x7f]{1,120}")


def queue_for(capability: str) -> str:
    """The queue of everybody who can do `capability`. Raises ValueError for what is no capability's name."""
    if not _CAPABILITY.fullmatch(capability):
        raise ValueError(f"{capability!r} cannot name a capability: small letters, digits, '-' and '_', at most 40")
    return CAPABILITY_PREFIX + capability


def queue_for_node(name: str) -> str:
    """The queue of one node alone. Raises ValueError for what cannot name a node."""
    if not _NODE.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a node: 1 to 120 characters, none of them a control character")
    return NODE_PREFIX + name


def names_capability(queue: object) -> bool:
    """Whether `queue` is one that everybody who can do something hears; what comes in a message may be anything."""
    return isinstance(queue, str) and bool(_CAPABILITY_QUEUE.fullmatch(queue))


def carries_units(queue: str) -> bool:
    """Whether `queue` is one of ours, rather than one of Celery's own."""
    return queue.startswith((CAPABILITY_PREFIX, NODE_PREFIX))
