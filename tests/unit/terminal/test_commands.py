"""The order in which a person meets the commands."""

from __future__ import annotations

import pytest

from clustercore.terminal.domain.commands import FIRST, JOBS, Command, in_order


def test_a_panel_lists_what_has_a_place_first_and_the_rest_as_it_came() -> None:
    late, second, first = (
        Command(name, "a:b", "", FIRST, place=place) for name, place in [("c", 9), ("b", 2), ("a", 1)]
    )
    other, one, two = Command("j", "a:b", "", JOBS), Command("d", "a:b", "", FIRST), Command("e", "a:b", "", FIRST)
    assert in_order([other, one, late, two, second, first]) == [first, second, late, one, two, other]


def test_two_commands_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="jobs"):
        in_order([Command("jobs", "a:b", "", JOBS), Command("jobs", "c:d", "", FIRST)])
