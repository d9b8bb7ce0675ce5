from __future__ import annotations

from pathlib import Path
from typing import Any

from transcription.adapters.bundled_clip import SAMPLES, clip_request, judge_clip


def response(text: str, language: str | None = "en") -> dict[str, Any]:
    return {"segments": [{"text": text}], "language": language, "seconds_of_audio": 7.6}


def test_the_clip_that_is_asked_for_is_in_the_package() -> None:
    assert Path(clip_request()["path"]).is_file()


def test_the_right_words_pass() -> None:
    judgement = judge_clip(response(SAMPLES.joinpath("clip.txt").read_text(encoding="utf-8")))
    assert (judgement.passed, judgement.amount) == (True, 7.6)
    assert judgement.note == "100 of 100 words right"


def test_nonsense_does_not_pass() -> None:
    judgement = judge_clip(response("ba be bi", language=None))
    assert not judgement.passed
    assert "does not work here" in judgement.note


def test_a_model_of_another_language_is_only_timed() -> None:
    judgement = judge_clip(response("guten morgen", language="de"))
    assert judgement.passed
    assert "for German: only timed" in judgement.note
