"""A soak's schedule: a seed is all that is needed to see the same again."""

from __future__ import annotations

from itertools import pairwise

from tests.faults.soak.schedule import KINDS, LONGEST, LONGEST_PAUSE, SHORTEST, SHORTEST_PAUSE, schedule

SECONDS = 600.0


def test_the_same_seed_gives_the_same_faults_at_the_same_times_with_the_same_parameters() -> None:
    assert schedule(7, SECONDS) == schedule(7, SECONDS)


def test_another_seed_gives_another_schedule() -> None:
    assert schedule(7, SECONDS) != schedule(8, SECONDS)


def test_a_longer_soak_begins_as_the_shorter_one() -> None:
    shorter = schedule(7, SECONDS)

    assert schedule(7, 2 * SECONDS)[: len(shorter)] == shorter


def test_every_kind_comes_once_before_any_comes_again() -> None:
    names = [fault.name for fault in schedule(7, SECONDS)]

    for begin in range(0, len(names), len(KINDS)):
        among = names[begin : begin + len(KINDS)]
        assert len(set(among)) == len(among)
    assert set(names) == set(KINDS)


def test_faults_begin_five_to_twenty_seconds_apart_and_last_for_seconds() -> None:
    faults = schedule(7, SECONDS)

    pauses = [after.at - before.at for before, after in pairwise(faults)]

    assert SHORTEST_PAUSE - 0.1 <= min(pauses) <= max(pauses) <= LONGEST_PAUSE + 0.1
    assert all(SHORTEST <= fault.seconds <= LONGEST for fault in faults)
    assert faults[-1].at < SECONDS


def test_only_the_kinds_that_are_named_are_drawn() -> None:
    assert {fault.name for fault in schedule(7, SECONDS, ["visitor", "taken_port"])} == {"visitor", "taken_port"}
