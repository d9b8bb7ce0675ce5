from __future__ import annotations

import pytest

from transcription.domain.transcript import Gap, Segment, Transcript, Word, beginning, one_line, separators


def segment(text: str, *words: str) -> Segment:
    return Segment(0.0, 1.0, text, tuple(Word(word, 0.0, 1.0) for word in words))


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("d'avoir puis-je", ["d", "'avoir", "puis", "-je"], ["", "", " ", ""]),
        ("aider\u202f? Oui", ["aider", "?", "Oui"], ["", "\u202f", " "]),
        ("今日はPython 3です", ["今日", "は", "Python", "3", "です"], ["", "", "", " ", ""]),
        ("New York is", ["New York", "is"], ["", " "]),
        ("quite another text", ["two", "words"], ["", " "]),
        ("另一個", ["不", "同"], ["", ""]),
    ],
)
def test_what_stands_before_each_word_is_found_in_the_text(text: str, words: list[str], found: list[str]) -> None:
    assert separators(segment(text, *words)) == found


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\tb\r\n c", "a b c"), ("10.30.00\u202fPM", "10.30.00\u202fPM"), ("\u202eevil", "evil"), ("\ud83d", "")],
)
def test_a_line_has_no_breaks_and_keeps_its_narrow_spaces(text: str, kept: str) -> None:
    assert one_line(text) == kept


def test_the_beginning_of_a_text_ends_with_a_word_where_there_are_words() -> None:
    assert beginning("one two three four", 12) == "one two …"
    assert beginning("東京都の天気は今日も晴れです", 8) == "東京都の天気 …"
    assert beginning("short", 12) == "short"


def test_a_transcript_is_divided_by_its_gaps_wherever_they_are() -> None:
    first, last = Segment(5.0, 6.0, "One."), Segment(20.0, 21.0, "Two.")
    gaps = tuple(Gap(start, start + 5.0, "was skipped") for start in (0.0, 10.0, 25.0))
    parts = Transcript((first, last), "en", 30.0, gaps).parts()
    assert [part if isinstance(part, Gap) else part.text for part in parts] == [
        gaps[0],
        "One.",
        gaps[1],
        "Two.",
        gaps[2],
    ]
    assert [part.text for part in Transcript((first,)).parts() if isinstance(part, Transcript)] == ["One."]
