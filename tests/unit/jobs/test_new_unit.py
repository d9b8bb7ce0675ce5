"""A unit that the ledger could not keep is refused where it is made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from clustercore.jobs.domain.new_unit import ANY, After, Join, NewUnit

TWO = (After(stage="ask", ordinal=0), After(stage="ask", ordinal=1))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"priority": 40_000}, "a priority is -32768 to 32767, not 40000"),
        ({"priority": -40_000}, "not -40000"),
        ({"ordinal": -1}, "an ordinal is 0 to 2147483647, not -1"),
        ({"ordinal": 2**31}, "an ordinal is"),
        ({"group": "page\x00one"}, "without NUL"),
        ({"group": "x" * 61}, "a group is 60 characters at most"),
        ({"capability": "x" * 41}, "a capability is 40 characters at most"),
        ({"weight": float("nan")}, "a weight is a number"),
        ({"deadline_seconds": 0.0}, "deadline_seconds is more than 0"),
        ({"deadline_seconds": float("inf")}, "deadline_seconds is more than 0"),
        ({"join": ANY}, "vote 3 needs 1 inputs and has 0"),
        ({"join": Join(quorum=3), "after": TWO}, "vote 3 needs 3 inputs and has 2"),
        ({"join": Join(quorum=3), "after": [*TWO, TWO[0]]}, "vote 3 needs 3 inputs and has 2"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        NewUnit(stage="vote", **({"ordinal": 3} | wrong))


@pytest.mark.parametrize("quorum", [0, -2, 40_000])
def test_a_quorum_is_a_number_of_inputs(quorum: int) -> None:
    with pytest.raises(ValueError, match=f"a quorum is 1 to 32767, not {quorum}"):
        Join(quorum=quorum)


@pytest.mark.parametrize("group", ["page\x00one", "x" * 61])
def test_no_unit_waits_for_a_group_that_none_can_have(group: str) -> None:
    with pytest.raises(ValueError, match="a group is 60 characters at most, without NUL"):
        After(stage="ask", group=group)


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan"), 1e12])
def test_what_waits_until_a_time_waits_for_some_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="until_seconds is more than 0"):
        Join(until_seconds=seconds)


def test_it_comes_back_from_json_as_it_was() -> None:
    unit = NewUnit(
        stage="vote", ordinal=3, after=TWO, join=Join(quorum=2, until_seconds=5.0), group="page", priority=-7
    )
    assert NewUnit.from_json(asdict(unit)) == unit
