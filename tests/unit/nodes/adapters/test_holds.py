"""Holds that end by themselves, and slots that renew them meanwhile."""

from __future__ import annotations

import threading
from collections import UserDict

from clustercore.nodes.adapters.holds import Holds


def test_a_hold_ends_with_its_time_and_the_others_stay() -> None:
    holds = Holds(start="registering")
    holds.put("shortage", "no memory left", seconds=0.0)
    holds.put("operator", "drained")
    assert holds.end_expired()
    assert holds.reason == "registering; drained"
    assert not holds.end_expired()


def test_a_hold_that_a_slot_renews_while_the_old_one_ends_stays() -> None:
    holds = Holds()
    holds.put("shortage", "no memory left", seconds=0.0)
    renewing = threading.Thread(target=holds.put, args=("shortage", "no memory left", 60.0))

    class EndsAsTheyAreRead(UserDict[str, float]):
        def get(self, source: str, default: float = 0.0) -> float:  # type: ignore[override]
            found = self.data[source]
            renewing.start()
            renewing.join(0.2)
            return found

    holds._ends = EndsAsTheyAreRead(holds._ends)  # type: ignore[assignment]
    holds.end_expired()
    renewing.join(10)
    assert holds.reason == "no memory left"
