"""What strangers were refused is said in one line, however many they were."""

from __future__ import annotations

from clustercore.embedded.domain.refusals import Refusals


def test_a_million_refusals_are_one_line() -> None:
    refusals = Refusals()
    for number in range(4_312):
        refusals.count("too slow" if number % 2 else "too many", f"192.0.2.{number % 2}")
    assert refusals.take() == "closed 4,312 connections; addresses: 2; too many 2,156, too slow 2,156"


def test_what_was_said_is_not_said_again() -> None:
    refusals = Refusals()
    refusals.count("too many", "192.0.2.1")
    assert refusals.take() and not refusals.take()


def test_addresses_beyond_ten_thousand_are_not_remembered() -> None:
    refusals = Refusals()
    for number in range(10_500):
        refusals.count("too many", str(number))
    assert "10,500 connections; addresses: 10,000+;" in refusals.take()
