"""Whether the hub is away is one state of the node, whichever of its threads finds out, and in whatever order."""

from __future__ import annotations

import threading

from django.db import OperationalError

from clustercore.nodes.adapters.hub_presence import HubPresence
from clustercore.nodes.domain.consumption import HoldSource


class SlowHolder:
    """Is being asked to go on when another thread finds the hub away once more."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.releasing, self.goes_on = threading.Event(), threading.Event()

    def hold(self, source: str, _reason: str, _seconds: float | None = None) -> None:
        self.held.add(source)

    def release(self, source: str) -> None:
        self.releasing.set()
        self.goes_on.wait(0.3)
        self.held.discard(source)


def ask(presence: HubPresence, thread: str, error: Exception | None = None) -> None:
    with presence.asked_by(thread):
        if error is not None:
            raise error


def test_a_hub_that_is_away_for_one_thread_is_not_back_by_what_another_found_before() -> None:
    holder = SlowHolder()
    presence = HubPresence(holder)
    gone = OperationalError("gone")
    ask(presence, "upkeep", gone)
    back = threading.Thread(target=ask, args=[presence, "upkeep"])
    back.start()
    assert holder.releasing.wait(10)
    ask(presence, "leases", gone)
    holder.goes_on.set()
    back.join(10)
    assert holder.held == {HoldSource.HUB}
    ask(presence, "leases")
    assert holder.held == set()
