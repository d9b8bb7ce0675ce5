from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.tiers import rung_of
from transcription.domain.engines import ORDER as LADDER
from transcription.domain.selection import select_models, serves

SPHINX = ModelRecord(capability="stt", engine="pocketsphinx", model="en-us", languages=("en",))
VOSK = ModelRecord(capability="stt", engine="vosk", model="de-small", languages=("de",))
SMALL = ModelRecord(capability="stt", engine="faster-whisper", model="small", detects_language=True)
LARGE = replace(SMALL, model="large-v3")
ENGLISH = replace(SMALL, model="small.en", languages=("en",), detects_language=False)
CUTTER = ModelRecord(capability="media", engine="media", model="cutter")


def labels(records: list[ModelRecord], language: str | None, minimum_rung: int = 0) -> list[str]:
    return [
        one.label for one in select_models(records, LADDER, language=language, minimum_rung=minimum_rung).candidates
    ]


def reason(records: list[ModelRecord], language: str | None, minimum_rung: int = 0) -> str:
    selection = select_models(records, LADDER, language=language, minimum_rung=minimum_rung)
    assert selection.best is None
    return selection.reason


def test_the_best_rung_that_hears_the_language_comes_first() -> None:
    assert labels([SPHINX, SMALL, LARGE], "en") == [
        "faster-whisper:large-v3",
        "faster-whisper:small",
        "pocketsphinx:en-us",
    ]
    assert labels([SPHINX, VOSK, SMALL], "de") == ["faster-whisper:small", "vosk:de-small"]


def test_a_language_to_be_detected_goes_to_models_that_detect_it() -> None:
    assert labels([SPHINX, VOSK, ENGLISH, SMALL], None) == ["faster-whisper:small"]


def test_a_recording_in_which_nobody_speaks_is_left_to_any_model() -> None:
    assert sorted(labels([SPHINX, VOSK], "")) == ["pocketsphinx:en-us", "vosk:de-small"]


def test_models_below_the_floor_take_no_part() -> None:
    assert labels([SPHINX, SMALL, LARGE], "en", minimum_rung=rung_of(LADDER, "faster-whisper", "large")) == [
        "faster-whisper:large-v3"
    ]


def test_models_of_another_capability_take_no_part() -> None:
    assert labels([CUTTER, SPHINX], "en") == ["pocketsphinx:en-us"]


def test_a_language_that_nobody_hears_says_what_to_type() -> None:
    assert reason([SPHINX], "de") == (
        "pocketsphinx hears English only; 'de' needs a faster-whisper model: "
        "clustercore models pull faster-whisper:small"
    )


def test_a_language_that_nobody_can_detect_asks_for_it_or_for_a_model() -> None:
    text = reason([SPHINX, VOSK], None)
    assert "vosk:de-small hears German only" in text
    assert "say the language (de, en)" in text
    assert "models pull faster-whisper:small" in text


def test_a_floor_that_nobody_reaches_names_the_best_there_is_and_the_rung_asked_for() -> None:
    text = reason([SPHINX], "en", minimum_rung=3)
    assert "pocketsphinx:en-us stands on rung 0" in text
    assert "faster-whisper:*small*" in text


def test_an_unusable_model_gives_its_own_reason() -> None:
    broken = replace(SMALL, usable=False, reason="no faster-whisper model is here; type: x")
    assert reason([broken], "en") == "faster-whisper: no faster-whisper model is here; type: x"


def test_a_model_that_the_ladder_does_not_name_is_not_used() -> None:
    selection = select_models([SPHINX], ["vosk:*"], language="en")
    assert not selection.candidates
    assert "no tier of the preference order names pocketsphinx:en-us" in selection.reason


def test_no_engine_at_all_says_what_to_type() -> None:
    assert "models pull" in reason([], "en")


@given(
    records=st.lists(st.sampled_from([SPHINX, VOSK, SMALL, LARGE, ENGLISH, CUTTER, replace(SMALL, usable=False)])),
    language=st.sampled_from([None, "en", "de", "fr"]),
    minimum=st.integers(0, 6),
)
def test_there_are_always_able_candidates_in_falling_order_or_a_reason(
    records: list[ModelRecord], language: str | None, minimum: int
) -> None:
    selection = select_models(records, LADDER, language=language, minimum_rung=minimum)
    rungs = [one.rung for one in selection.candidates]
    assert rungs == sorted(rungs, reverse=True)
    assert all(
        one.record.usable and one.rung >= minimum and serves(one.record, language) for one in selection.candidates
    )
    assert bool(selection.candidates) != bool(selection.reason)


def test_the_order_does_not_depend_on_the_order_of_the_inventory() -> None:
    assert labels([LARGE, SMALL, SPHINX], "en") == labels([SPHINX, SMALL, LARGE], "en")
