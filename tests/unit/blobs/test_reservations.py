"""Room that is kept for uploads under way."""

from __future__ import annotations

import pytest

from clustercore.blobs.domain.reservations import room_for

ME, YOU, OTHER = 1, 2, 3


@pytest.mark.parametrize(
    ("reserved", "room"),
    [
        ({}, 1000),
        ({YOU: 300}, 700),
        ({YOU: 5000}, 500),
        ({YOU: 100, OTHER: 5000}, 450),
        ({YOU: 5000, OTHER: 5000}, 250),
        ({ME: 900}, 100),
        ({ME: 300, YOU: 5000}, 200),
    ],
)
def test_others_take_half_of_what_is_left_at_most_and_ones_own_counts_in_full(
    reserved: dict[int, int], room: int
) -> None:
    assert room_for(ME, reserved, 1000) == room


def test_something_is_left_whatever_many_people_announce() -> None:
    greedy = dict.fromkeys(range(2, 12), 10**15)
    assert room_for(ME, greedy, 80 * 10**9) > 70_000_000
