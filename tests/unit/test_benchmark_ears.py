"""The arithmetic of the benchmark of what engines hear."""

from __future__ import annotations

import jiwer
import pytest

from benchmarks.ears import errors_by_word, interval


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("the cat sat down", [0, 0, 0, 0]),
        ("The cat, sat down!", [0, 0, 0, 0]),
        ("the bat sat down", [0, 1, 0, 0]),
        ("the sat down", [0, 1, 0, 0]),
        ("the cat sat down now then", [0, 0, 0, 2]),
        ("oh the cat sat down", [1, 0, 0, 0]),
        ("", [1, 1, 1, 1]),
    ],
)
def test_each_error_belongs_to_a_word_that_was_said(heard: str, errors: list[int]) -> None:
    assert errors_by_word("the cat sat down", heard) == errors
    assert sum(errors) / 4 == pytest.approx(jiwer.wer("the cat sat down", heard.lower().replace(",", "").strip("!")))


def test_an_interval_holds_the_rate_and_narrows_with_more_words() -> None:
    few, many = [1, 0, 0, 0] * 10, [1, 0, 0, 0] * 200
    (low, high), (lower, higher) = interval(few), interval(many)
    assert low < 0.25 < high
    assert lower < 0.25 < higher
    assert higher - lower < (high - low) / 2


def test_without_an_error_the_interval_is_a_point() -> None:
    assert interval([0] * 50) == (0.0, 0.0)
