from __future__ import annotations

import pytest

from transcription.domain.merge import read_segment
from transcription.domain.speakers import Turn, letters_of, next_label, speakers_along


def test_without_a_word_from_anybody_the_engine_s_labels_stand() -> None:
    assert speakers_along(["A", "A", "", "B"], {}) == ["A", "A", "", "B"]


def test_from_here_on_holds_until_the_next_word_on_it() -> None:
    said = {1: Turn("A"), 3: Turn("B")}
    assert speakers_along([""] * 5, said) == ["", "A", "A", "B", "B"]


def test_from_here_on_ends_where_the_engine_hears_another_speaker() -> None:
    assert speakers_along(["A", "A", "B", "B", "A"], {1: Turn("C")}) == ["A", "C", "B", "B", "A"]


def test_a_word_on_one_segment_alone_leaves_the_others() -> None:
    said = {0: Turn("A"), 2: Turn("B", alone=True)}
    assert speakers_along([""] * 4, said) == ["A", "A", "B", "A"]


def test_nobody_knows_can_be_said_too() -> None:
    assert speakers_along(["A", "A", "A"], {1: Turn("")}) == ["A", "", ""]


@pytest.mark.parametrize(("number", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA")])
def test_labels_are_letters(number: int, letters: str) -> None:
    assert letters_of(number) == letters


def test_a_new_label_is_the_first_that_nobody_has() -> None:
    assert next_label([]) == "A"
    assert next_label(["A", "C", "SPEAKER_00"]) == "B"


@pytest.mark.parametrize(
    ("answered", "label"),
    [
        ({}, ""),
        ({"speaker": None}, ""),
        ({"speaker": "SPEAKER_01"}, "SPEAKER_01"),
        ({"speaker": "a\n--> b" * 20}, None),
    ],
)
def test_an_engine_s_label_is_read_as_one_short_line(answered: dict[str, str], label: str | None) -> None:
    speaker = read_segment({"start": 0, "end": 1, "text": "x", **answered}).speaker
    assert "\n" not in speaker
    assert len(speaker) <= 40
    assert label is None or speaker == label
