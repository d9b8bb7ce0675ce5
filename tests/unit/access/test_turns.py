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


def test_a_turn_that_ends_goes_to_the_lane_that_was_served_longest_ago() -> None:
    turns: Turns[Ticket] = Turns(together=2, each=2, waiting=10)
    first = entered(turns, 6, "a")
    list(turns.begin())
    entered(turns, 1, "b")
    turns.end(first[0])
    assert lanes(list(turns.begin())) == ["b"]


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
    for part in "yzw":
        entered(turns, 2, "a", part)
    with pytest.raises(LaneFull):
        entered(turns, 1, "a", "v")
    entered(turns, 1, "b")
    turns.enter(Ticket(Place("a", "x")), bounded=False)


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
