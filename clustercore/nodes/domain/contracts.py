"""Which work this process knows how to do. The rooms above know; they say so here, and the node agent asks."""

from __future__ import annotations

from collections.abc import Callable

from clustercore.embedded.domain.registry import SoleEntry

Contracts = Callable[[], tuple[str, ...]]
"""Returns "kind/stage/number" of all that it knows."""

known_work: SoleEntry[Contracts] = SoleEntry(tuple)
"""Asked each time the node registers; a process for which nobody says so knows no work."""


def contracts_known() -> tuple[str, ...]:
    """Returns what this process knows."""
    return known_work.get()()
