"""Which tier a model stands on, and what rooms bring where nobody set anything.

Tiers count from the end of the preference order, so a higher number is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

Orders = Mapping[str, Sequence[str]]
"""By capability: patterns over `engine:model`, best first."""

_ENGINES: list[str] = []
_ORDERS: dict[str, tuple[str, ...]] = {}


def register_engines(paths: Sequence[str]) -> None:
    """Makes a room's engines (`package.module:Class`) part of the default; called from its AppConfig.ready."""
    _ENGINES.extend(path for path in paths if path not in _ENGINES)


def register_order(capability: str, order: Sequence[str]) -> None:
    """Makes a preference order the default of a capability; called from a room's AppConfig.ready."""
    _ORDERS[capability] = tuple(order)


def engines_with(given: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the plug-ins that are set, or those that the rooms bring."""
    return tuple(_ENGINES if given is None else given)


def orders_with(given: Orders) -> Orders:
    """Returns the orders that the rooms bring, each replaced by the one that is set for its capability."""
    return {**_ORDERS, **given}


def rung_of(order: Sequence[str], engine: str, model: str) -> int:
    """Returns the tier of `engine:model`: `len(order) - 1` for the best, 0 for the last, -1 when no pattern fits."""
    label = f"{engine}:{model}".lower()
    for position, pattern in enumerate(order):
        if fnmatchcase(label, pattern.lower()):
            return len(order) - 1 - position
    return -1
