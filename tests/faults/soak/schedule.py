"""Which fault happens when, decided before anything is started: the same seed gives the same schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 20.0
"""Seconds from one fault's beginning to the next one's."""

SHORTEST, LONGEST = 4.0, 16.0
"""Seconds for which a fault lasts."""

NODES = ("laptop", "pi")
Parameters = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins and how long it lasts, in seconds, and what its act is told."""

    at: float
    name: str
    seconds: float
    parameters: Parameters = field(default_factory=dict)


def _clock(random: Random) -> Parameters:
    return {"seconds": random.choice((-1, 1)) * random.randint(120, 3 * 3600)}


KINDS: Mapping[str, Callable[[Random], Parameters]] = {
    "power_cut": lambda random: {"node": random.choice(NODES)},
    "clock_step": _clock,
    "full_disk": lambda random: {"disk": random.choice(("hub", "far"))},
    "visitor": lambda _: {},
    "stalled_connections": lambda random: {"count": random.randint(200, 900)},
    "taken_port": lambda _: {},
    "shared_removal": lambda random: {"pieces": random.randint(1, 24)},
    "server_away": lambda random: {"server": random.choice(("Redis", "PostgreSQL"))},
}
"""By name, how the parameters of a fault are drawn."""


def schedule(seed: int, seconds: float, names: Sequence[str] = tuple(KINDS)) -> list[Fault]:
    """Faults for so many seconds: all kinds once in some order, then all of them in another order, and so on."""
    random, faults, at, hand = Random(seed), [], 0.0, list[str]()
    while (at := at + random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE)) < seconds:
        hand = hand or random.sample(list(names), len(names))
        name = hand.pop()
        lasts = round(random.uniform(SHORTEST, LONGEST), 1)
        faults.append(Fault(round(at, 1), name, lasts, KINDS[name](random)))
    return faults
