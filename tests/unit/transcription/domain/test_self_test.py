from __future__ import annotations

import pytest

from transcription.domain.self_test import judge, words_of

CLIP = "The city will pay for one half of it."


def test_a_clip_heard_right_passes_with_its_speed() -> None:
    result = judge(clip_seconds=10, elapsed_seconds=2, device="cuda", expected=CLIP, heard=CLIP.lower())
    assert (result.real_time_factor, result.words_right, result.passed) == (0.2, 1.0, True)
    assert result.verdict == "works: 5.0 times as fast as real time on cuda; 100 of 100 words right"


def test_a_rough_engine_passes_with_what_it_got_right() -> None:
    result = judge(
        clip_seconds=10, elapsed_seconds=2, device="cpu", expected=CLIP, heard="the city would pay for half of it"
    )
    assert result.words_right == pytest.approx(7 / 9, abs=0.001)
    assert result.passed


def test_an_engine_that_hears_nonsense_is_said_not_to_work() -> None:
    result = judge(clip_seconds=10, elapsed_seconds=1, device="cpu", expected=CLIP, heard=["ba", "be", "bi"])
    assert not result.passed
    assert "does not work here" in result.verdict


def test_an_engine_slower_than_the_audio_is_told_so() -> None:
    verdict = judge(clip_seconds=4, elapsed_seconds=10, device="cpu", expected=CLIP, heard=CLIP).verdict
    assert "slower than real time (2.5 s for each second)" in verdict


def test_a_result_is_plain_json() -> None:
    result = judge(clip_seconds=4, elapsed_seconds=0, device="cpu", expected=CLIP, heard="")
    assert set(result.as_json()) == {"real_time_factor", "device", "words_right", "passed", "verdict"}


@pytest.mark.parametrize(("seconds", "text"), [(0.0, CLIP), (1.0, "...")])
def test_a_clip_without_duration_or_words_is_refused(seconds: float, text: str) -> None:
    with pytest.raises(ValueError, match="needs a clip with"):
        judge(clip_seconds=seconds, elapsed_seconds=1, device="cpu", expected=text, heard="")


def test_words_keep_their_apostrophes_and_nothing_else() -> None:
    assert words_of("Don't - STOP, o'clock_now!") == ["don't", "stop", "o'clock", "now"]
