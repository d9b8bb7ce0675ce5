"""The recording that every node tries its speech models on: what to ask of them, and what the answer is worth."""

from __future__ import annotations

from importlib.resources import files

from clustercore.nodes.domain.engine import JsonObject
from clustercore.nodes.domain.self_test import Judgement
from transcription.domain.language import language_name
from transcription.domain.self_test import GOOD_ENOUGH, fraction_right

SAMPLES = files("transcription") / "samples"
LANGUAGE = "en"


def clip_request() -> JsonObject:
    """A request without a language: the clip is English, but a model of another language can at least be timed."""
    return {"path": str(SAMPLES / "clip.flac"), "language": None, "prompt": "", "words": True}


def judge_clip(response: JsonObject) -> Judgement:
    """By the words that were heard; only by its speed where the model heard another language than the clip's."""
    seconds = float(response["seconds_of_audio"])
    heard = " ".join(segment["text"] for segment in response["segments"])
    language = str(response.get("language") or LANGUAGE)
    if language != LANGUAGE:
        note = f"took the clip, which is {language_name(LANGUAGE)}, for {language_name(language)}: only timed"
        return Judgement(passed=True, amount=seconds, note=note)
    right = fraction_right(SAMPLES.joinpath("clip.txt").read_text(encoding="utf-8"), heard)
    note = f"{round(right * 100)} of 100 words right"
    if right < GOOD_ENOUGH:
        note += ": this model does not work here; pull it again or use another"
    return Judgement(passed=right >= GOOD_ENOUGH, amount=seconds, note=note)
