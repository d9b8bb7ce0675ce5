from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clustercore.nodes.domain.engine import EngineFailure
from transcription.adapters.engines import faster_whisper
from transcription.adapters.engines.faster_whisper import (
    FasterWhisper,
    ModelSettings,
    Progress,
    WatchedModel,
    is_english_only,
    read_settings,
)


def model_folder(models: Path, name: str) -> Path:
    folder = models / "faster-whisper" / name
    folder.mkdir(parents=True)
    for file in ("config.json", "tokenizer.json", "vocabulary.json"):
        (folder / file).write_text("{}")
    (folder / "model.bin").write_bytes(bytes(2_000_000))
    return folder


def test_a_multilingual_model_hears_and_detects_any_language(tmp_path: Path) -> None:
    model_folder(tmp_path, "small")
    record, translating = FasterWhisper().inventory(tmp_path)
    assert (record.usable, record.traits) == (True, ("word-times", "lang:*", "detects-language"))
    assert record.memory_mb > 2
    assert translating == replace(record, capability="translate")


@pytest.mark.parametrize("model", ["small.en", "large-v3-turbo", "distil-large-v3"])
def test_a_model_that_never_learned_to_translate_does_not_offer_it(tmp_path: Path, model: str) -> None:
    model_folder(tmp_path, model)
    assert [record.capability for record in FasterWhisper().inventory(tmp_path)] == ["stt"]


def test_an_english_model_hears_english_and_detects_nothing(tmp_path: Path) -> None:
    model_folder(tmp_path, "small.en")
    (record,) = FasterWhisper().inventory(tmp_path)
    assert (record.usable, record.traits) == (True, ("word-times", "lang:en"))
    assert is_english_only("distil-small.en")
    assert not is_english_only("large-v3")


def test_without_a_model_the_inventory_says_what_to_type(tmp_path: Path) -> None:
    (record,) = FasterWhisper().inventory(tmp_path)
    assert not record.usable
    assert "clustercore models pull faster-whisper:small" in record.reason


def test_without_the_wheel_the_inventory_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_whisper, "find_spec", lambda name: None)
    model_folder(tmp_path, "small")
    (record,) = FasterWhisper().inventory(tmp_path)
    assert not record.usable
    assert "pip install 'clustercore[faster-whisper]'" in record.reason


def test_an_incomplete_model_is_not_usable_and_says_what_it_lacks(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "base")
    (folder / "tokenizer.json").unlink()
    (folder / "vocabulary.json").unlink()
    (record,) = FasterWhisper().inventory(tmp_path)
    assert not record.usable
    assert "lacks tokenizer.json, vocabulary.txt or vocabulary.json" in record.reason
    assert "models pull faster-whisper:base" in record.reason


def test_a_model_may_bring_settings_of_its_own(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == ModelSettings()
    (tmp_path / "clustercore.json").write_text(json.dumps({"beam_size": 1, "maximum_tokens": 60}))
    assert read_settings(tmp_path) == ModelSettings(beam_size=1, maximum_tokens=60)


@pytest.mark.parametrize("text", ["{", '{"beam": 1}', "[1]"])
def test_settings_that_cannot_be_used_name_what_may_stand_there(tmp_path: Path, text: str) -> None:
    (tmp_path / "clustercore.json").write_text(text)
    with pytest.raises(EngineFailure, match="beam_size, maximum_tokens, compute_type"):
        read_settings(tmp_path)


class ScriptedModel:
    is_multilingual = True

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def encode(self, features: object) -> str:
        return "encoded features"

    def generate(self, features: object, **options: Any) -> str:
        self.options = options
        return "words"


def test_a_second_try_forbids_repetition_instead_of_rolling_dice() -> None:
    scripted = ScriptedModel()
    WatchedModel(scripted).generate("f", beam_size=1, sampling_topk=0, sampling_temperature=0.2, num_hypotheses=5)
    assert scripted.options["sampling_temperature"] == 0.0
    assert scripted.options["num_hypotheses"] == 1
    assert scripted.options["no_repeat_ngram_size"] == 3
    assert "sampling_topk" not in scripted.options


def test_a_first_try_is_left_as_it_is() -> None:
    scripted = ScriptedModel()
    assert WatchedModel(scripted).generate("f", beam_size=5, patience=1) == "words"
    assert scripted.options == {"beam_size": 5, "patience": 1}


def test_every_call_that_ended_is_told_and_everything_else_is_passed_on() -> None:
    events: list[str] = []
    watched = WatchedModel(ScriptedModel())
    watched.on_event = events.append
    watched.encode("features")
    watched.generate("features")
    assert events == ["encoded", "decoded"]
    assert watched.is_multilingual


def test_progress_never_goes_back_and_leaves_the_end_to_the_response() -> None:
    fractions: list[float] = []
    progress = Progress(lambda fraction, event=None: fractions.append(fraction), seconds=10.0)
    for second in (2.0, 1.0, 50.0):
        progress.reached(second)
    progress.window_event("encoded")
    assert fractions == [0.2, 0.2, 0.99, 0.99]


def segment_of(*words: str) -> SimpleNamespace:
    timed = [SimpleNamespace(word=word, start=n, end=n + 1, probability=0.9 - n / 100) for n, word in enumerate(words)]
    return SimpleNamespace(text="".join(words), start=0.0, end=float(len(words)), words=timed)


@pytest.mark.parametrize(
    ("fragments", "words"),
    [
        ([" Merci", " d", "'avoir", " puis", "-je", " ?"], ["Merci", "d'avoir", "puis-je", "?"]),
        ([" 1", ",000", " words"], ["1,000", "words"]),
        (["今日", "は", "Python", "の", "話"], ["今日", "は", "Python", "の", "話"]),
        (["เ", "ก", "ม"], ["เ", "ก", "ม"]),
    ],
)
def test_the_fragments_of_a_word_are_one_word(fragments: list[str], words: list[str]) -> None:
    raw = faster_whisper._plain_segment(segment_of(*fragments), 60.0)
    assert [word["word"] for word in raw["words"]] == words
    assert raw["text"] == "".join(fragments).strip()


def test_a_word_of_fragments_lasts_from_the_first_to_the_last_and_is_as_sure_as_the_least() -> None:
    raw = faster_whisper._plain_segment(segment_of(" aujourd", "'hui"), 60.0)
    assert raw["words"] == [{"word": "aujourd'hui", "start": 0.0, "end": 2.0, "probability": 0.89}]
