"""What rooms register when a process starts."""

from __future__ import annotations

import pytest

from clustercore.embedded.domain.registry import Registry, SoleEntry


def test_entries_come_in_the_order_of_registration() -> None:
    registry = Registry("a")
    registry.register("c")
    registry.register("b")
    assert list(registry) == ["a", "c", "b"]


def test_an_entry_that_comes_while_the_others_are_read_waits_for_the_next_reading() -> None:
    registry = Registry("a", "b")
    for entry in registry:
        registry.register(entry * 2)
    assert list(registry) == ["a", "b", "aa", "bb"]


def test_the_last_of_which_there_is_one_counts() -> None:
    sole = SoleEntry("default")
    assert sole.get() == "default"
    sole.register("first")
    sole.register("second")
    assert sole.get() == "second"


def test_what_nobody_registered_is_said_to_be_missing() -> None:
    with pytest.raises(LookupError, match=r"django\.setup"):
        SoleEntry[str]().get()
