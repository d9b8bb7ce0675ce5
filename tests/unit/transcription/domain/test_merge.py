from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.domain.merge import HeardPiece, merge, place


def raw(start: float, end: float, text: str, *words: tuple[str, float, float]) -> dict[str, Any]:
    return {
        "start": start,
        "end": end,
        "text": text,
        "words": [{"word": word, "start": first, "end": last, "probability": 0.5} for word, first, last in words],
    }


def test_pieces_are_joined_in_the_order_of_the_recording_whatever_their_order_of_arrival() -> None:
    late = HeardPiece(160_000, 320_000, [raw(1, 2, "world.", ("world.", 1, 2))])
    early = HeardPiece(0, 160_000, [raw(0.5, 1, "Hello", ("Hello", 0.5, 1))])
    transcript = merge([late, early], "en")
    assert transcript.text == "Hello world."
    assert [(segment.start, segment.end) for segment in transcript.segments] == [(0.5, 1.0), (11.0, 12.0)]
    assert transcript.segments[1].words[0].start == 11.0
    assert (transcript.seconds, transcript.language) == (20.0, "en")


def test_times_beyond_the_edges_of_a_piece_are_clamped_to_it() -> None:
    [segment] = place(HeardPiece(16_000, 48_000, [raw(-0.3, 5.0, "too far", ("too", -0.3, 0.4), ("far", 1.9, 5.0))]))
    assert (segment.start, segment.end) == (1.0, 3.0)
    assert [(word.start, word.end) for word in segment.words] == [(1.0, 1.4), (2.9, 3.0)]


def test_overlapping_segments_follow_one_another_and_lose_no_text() -> None:
    segments = place(HeardPiece(0, 160_000, [raw(0, 4, "one"), raw(3, 5, "two"), raw(3.5, 4.5, "three")]))
    assert [segment.text for segment in segments] == ["one", "two", "three"]
    assert [(segment.start, segment.end) for segment in segments] == [(0, 4), (4, 5), (5, 5)]


def test_segments_without_text_are_left_out() -> None:
    assert place(HeardPiece(0, 16_000, [raw(0, 1, "  "), raw(0, 1, "")])) == []


def test_words_may_come_with_spaces_without_probability_or_not_at_all() -> None:
    bare = {"start": 0, "end": 1, "text": " a\nb ", "words": [{"word": " a", "start": 0, "end": 1}]}
    segments = place(HeardPiece(0, 16_000, [bare, {"start": 0, "end": 1, "text": "c", "words": None}]))
    assert [segment.text for segment in segments] == ["a b", "c"]
    assert segments[0].words[0].word == "a"
    assert segments[0].words[0].probability is None


def test_a_recording_in_which_nobody_speaks_has_an_empty_transcript() -> None:
    transcript = merge([HeardPiece(0, 16_000, [])])
    assert (transcript.text, transcript.segments, transcript.seconds) == ("", (), 1.0)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("你好，", "世界。"), "你好，世界。"),  # noqa: RUF001
        (("こんにちは", "です"), "こんにちはです"),
        (("안녕", "하세요"), "안녕 하세요"),
        (("iPhone", "很好"), "iPhone 很好"),
        ((" left ", " right"), "left right"),
        (("他说：", "“你好”"), "他说：“你好”"),  # noqa: RUF001
        (("aider\u202f?", "«\u00a0Oui\u00a0»"), "aider\u202f? «\u00a0Oui\u00a0»"),
        (("می\u200cخواهم", "بروم"), "می\u200cخواهم بروم"),  # noqa: RUF001
    ],
)
def test_texts_are_joined_as_their_script_asks(texts: tuple[str, str], expected: str) -> None:
    pieces = [HeardPiece(at * 16_000, (at + 1) * 16_000, [raw(0, 1, text)]) for at, text in enumerate(texts)]
    assert merge(pieces).text == expected


@pytest.mark.parametrize(("given", "kept"), [("a\x00b", "a b"), ("a\r\n\u2028b", "a b"), ("\ud800a", "a")])
def test_no_control_character_of_an_engine_gets_into_a_text(given: str, kept: str) -> None:
    [segment] = place(HeardPiece(0, 16_000, [raw(0, 1, given, (given, 0, 1))]))
    assert (segment.text, segment.words[0].word) == (kept, kept)


def test_a_long_silence_begins_a_paragraph() -> None:
    piece = HeardPiece(0, 480_000, [raw(0, 2, "One."), raw(2.5, 4, "Two."), raw(9, 10, "Three.")])
    assert merge([piece]).paragraphs() == ["One. Two.", "Three."]


times = st.floats(-5, 40, allow_nan=False)


@given(st.lists(st.tuples(times, times, st.sampled_from(["a", "b c", "", "d"])), max_size=12), st.integers(0, 10**9))
def test_whatever_an_engine_says_times_never_run_backwards(heard: list[tuple[float, float, str]], first: int) -> None:
    piece = HeardPiece(
        first, first + 480_000, [raw(start, end, text, (text, start, end)) for start, end, text in heard]
    )
    earliest = first / 16_000
    for segment in place(piece):
        assert earliest <= segment.start <= segment.end <= piece.end_sample / 16_000
        assert all(word.start <= word.end for word in segment.words)
        earliest = segment.end
    assert sorted(segment.text for segment in place(piece)) == sorted(text for _, _, text in heard if text)
