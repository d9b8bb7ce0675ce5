"""When a floor is decided, kept, and let fall."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clustercore.jobs.domain.floor import FloorKept, FloorSeen, floor_fell, next_floor

WAIT = 600.0
UNDECIDED = FloorSeen(job_id=1, floor=None, is_critical=False, best_there=5, best_taking=5, unserved_seconds=None)
DECIDED = replace(UNDECIDED, floor=4)


def kept(seen: FloorSeen, *, may_fall: bool = True) -> FloorKept:
    return next_floor(seen, WAIT, may_fall=may_fall)


@pytest.mark.parametrize(
    ("is_critical", "best_there", "floor"), [(False, 5, 4), (True, 5, 5), (False, 0, 0), (False, None, None)]
)
def test_it_is_one_below_the_best_that_is_there_or_the_best_where_accuracy_is_critical(
    is_critical: bool, best_there: int | None, floor: int | None
) -> None:
    assert kept(replace(UNDECIDED, is_critical=is_critical, best_there=best_there)) == FloorKept(floor)


def test_a_node_that_is_held_counts_when_it_is_decided() -> None:
    assert kept(replace(UNDECIDED, best_taking=0)) == FloorKept(4)


def test_a_better_node_that_joins_later_does_not_raise_it() -> None:
    assert kept(replace(DECIDED, floor=2)) == FloorKept(2)


def test_it_is_kept_while_nobody_reaches_it_and_the_wait_goes_on() -> None:
    alone = replace(DECIDED, best_there=0, best_taking=0)
    assert kept(alone) == FloorKept(4, is_unserved=True)
    assert kept(replace(alone, unserved_seconds=120.0)) == FloorKept(4, is_unserved=True)


def test_it_falls_after_the_wait_to_what_is_left() -> None:
    waited = replace(DECIDED, best_there=3, best_taking=3, unserved_seconds=WAIT)
    assert kept(waited) == FloorKept(2)
    assert kept(replace(waited, floor=5, is_critical=True)) == FloorKept(3)


def test_it_does_not_fall_while_nodes_may_not_have_been_heard_yet_nor_where_there_is_none() -> None:
    waited = replace(DECIDED, best_taking=3, unserved_seconds=WAIT)
    assert kept(waited, may_fall=False) == FloorKept(4, is_unserved=True)
    assert kept(replace(waited, best_taking=None)) == FloorKept(4, is_unserved=True)


def test_a_node_that_comes_back_ends_the_wait() -> None:
    assert kept(replace(DECIDED, unserved_seconds=500.0)) == FloorKept(4)


def test_the_story_tells_how_long_was_waited_and_who_may_serve() -> None:
    assert floor_fell(4, 2, WAIT) == (
        "no node of rung 4 or better took work for 10 min: rung 2 and better may serve from now on"
    )
