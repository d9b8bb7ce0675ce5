"""What a node takes, from what it can do and what keeps it from it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from clustercore.nodes.domain.consumption import Consumption, Hold, consumption, unexpired


def taken(holds: Mapping[str, Hold] | None = None, paused: Mapping[str, str] | None = None) -> Consumption:
    able = ("media", "stt")
    return consumption(node="one", slots=3, capabilities=able, holds=holds or {}, paused=paused or {})


def test_a_free_node_takes_what_it_can_do_and_what_is_sent_to_it_alone() -> None:
    found = taken()
    assert found.queues == {"cap.media", "cap.stt", "node.one"}
    assert (found.prefetch, found.hold_reason, found.idle_reason) == (3, "", "")


def test_a_paused_capability_is_left_and_said_while_the_rest_goes_on() -> None:
    found = taken(paused={"stt": "a better node is free", "llm": "no model"})
    assert found.queues == {"cap.media", "node.one"}
    assert found.hold_reason == ""
    assert found.idle_reason == "llm: no model; stt: a better node is free"


def test_any_hold_takes_nothing_and_all_are_said() -> None:
    found = taken({"operator": Hold("drained"), "heat": Hold("87 degrees", ends=9.0)}, {"stt": "a better node is free"})
    assert found.queues == frozenset()
    assert found.hold_reason == "drained; 87 degrees"
    assert found.idle_reason == "stt: a better node is free"


@pytest.mark.parametrize(("now", "left"), [(4.9, {"short", "operator"}), (5.0, {"operator"}), (1e9, {"operator"})])
def test_a_hold_ends_with_its_time_and_the_others_stay(now: float, left: set[str]) -> None:
    assert set(unexpired({"short": Hold("no memory", ends=5.0), "operator": Hold("drained")}, now)) == left
