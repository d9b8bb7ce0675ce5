"""Turns are shared out among lanes, and within a lane among its parts."""

from __future__ import annotations

import pytest

from clustercore.access.domain.turns import LaneFull, Place, Ticket, Turns


def entered(turns: Turns[Ticket], count: int, lane: str, part: str = "") -> list[Ticket]:
    tickets = [Ticket(Place(lane, part)) for _ in range(count)]
    for ticket in tickets:
        turns.enter(ticket)
    return tickets


def lanes(tickets: list[Ticket]) -> list[str]:
    return [ticket.place.lane for ticket in tickets]


def test_one_lane_never_has_all_the_turns() -> None:
    turns: Turns[Ticket] = Turns(together=4, each=2, waiting=10)
    entered(turns, 6, "a")
    assert lanes(list(turns.begin())) == ["a", "a"]
    entered(turns, 6, "b")
    assert lanes(list(turns.begin())) == ["b", "b"]
    entered(turns, 1, "c")
    assert list(turns.begin()) == []


def test_turns_that_end_go_to_the_lanes_in_rotation() -> None:
    turns: Turns[Ticket] = Turns(together=2, each=2, waiting=10)
    entered(turns, 6, "a")
    running = list(turns.begin())
    entered(turns, 6, "b")
    served = []
    for _ in range(4):
        turns.end(running.pop(0))
        running += turns.begin()
        served.append(running[-1].place.lane)
    assert served == ["a", "b", "a", "b"]


def test_parts_of_a_lane_take_turns() -> None:
    turns: Turns[Ticket] = Turns(together=9, each=4, waiting=10)
    entered(turns, 6, "a", "x")
    entered(turns, 1, "a", "y")
    assert [ticket.place.part for ticket in turns.begin()] == ["x", "y", "x", "x"]


def test_a_part_and_a_lane_take_so_many_and_no_more_but_for_who_was_served() -> None:
    turns: Turns[Ticket] = Turns(together=1, each=1, waiting=2)
    entered(turns, 2, "a", "x")
    with pytest.raises(LaneFull):
        entered(turns, 1, "a", "x")
    for part in "yzwvut":
        entered(turns, 1, "a", part)
    with pytest.raises(LaneFull):
        entered(turns, 1, "a", "y")
    entered(turns, 1, "b")
    turns.enter(Ticket(Place("a", "x"), bounded=False))


def test_in_a_full_lane_somebody_new_takes_the_newest_place_of_whoever_has_most() -> None:
    turns: Turns[Ticket] = Turns(together=9, each=9, waiting=2)
    filled = {part: entered(turns, 2, "a", part) for part in "xyzw"}
    new = Ticket(Place("a", "v"))
    assert turns.enter(new) is filled["x"][-1]
    assert list(turns.begin()).count(new) == 1


def test_who_was_served_before_keeps_their_place() -> None:
    turns: Turns[Ticket] = Turns(together=1, each=1, waiting=1)
    for _ in range(4):
        turns.enter(Ticket(Place("a", "x"), bounded=False))
    with pytest.raises(LaneFull):
        entered(turns, 1, "a", "y")


def test_who_left_is_not_called() -> None:
    turns: Turns[Ticket] = Turns(together=1, each=1, waiting=5)
    first, second = entered(turns, 2, "a")
    turns.leave(first)
    turns.leave(first)
    assert list(turns.begin()) == [second]


def test_who_turns_out_to_be_a_person_frees_the_lane_of_the_address() -> None:
    turns: Turns[Ticket] = Turns(together=9, each=2, waiting=9)
    tickets = entered(turns, 4, "address", "x")
    begun = list(turns.begin())
    turns.move(Place("address", "x"), Place("person"))
    entered(turns, 2, "address", "y")
    assert lanes(list(turns.begin())) == ["address", "address"]
    assert lanes(tickets) == ["person"] * 4
    for ticket in begun:
        turns.end(ticket)
    assert lanes(list(turns.begin())) == ["person", "person"]
