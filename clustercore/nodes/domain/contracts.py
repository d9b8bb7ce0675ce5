"""Which work this process knows how to do. The rooms above know; they say so here, and the node agent asks."""

from __future__ import annotations

from collections.abc import Callable

Contracts = Callable[[], tuple[str, ...]]
"""Returns "kind/stage/number" of all that it knows."""

_CONTRACTS: list[Contracts] = []


def use_contracts(contracts: Contracts) -> None:
    """Called once, from an AppConfig.ready. It is asked each time the node registers."""
    _CONTRACTS[:] = [contracts]


def contracts_known() -> tuple[str, ...]:
    """Returns what this process knows; nothing where nobody said."""
    return _CONTRACTS[0]() if _CONTRACTS else ()
