from __future__ import annotations

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcription.domain.accuracy import word_error_rate


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("Good morning, everyone!", "good morning everyone", 0.0),
        ("one two three four", "one two four", 0.25),
        ("one two three four", "one too three four", 0.25),
        ("one two", "one two three four", 1.0),
        ("I don't know", "i dont know", 0.0),
        ("It’s twenty-one", "its twenty one", 0.0),  # noqa: RUF001
        ("Ｆｕｌｌ width ÉCOLE", "full width école", 0.0),  # noqa: RUF001
        ("", "", 0.0),
        ("...", "word", 1.0),
        ("word", "", 1.0),
    ],
)
def test_the_rate_counts_words_and_not_their_dress(said: str, heard: str, rate: float) -> None:
    assert word_error_rate(said, heard) == rate


sentences = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=12).map(" ".join)


@settings(max_examples=60)
@given(sentences, sentences)
def test_the_rate_is_the_one_that_others_compute(said: str, heard: str) -> None:
    assert word_error_rate(said, heard) == pytest.approx(jiwer.wer(said, heard))
