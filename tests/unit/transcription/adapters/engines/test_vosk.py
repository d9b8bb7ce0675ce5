from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from clustercore.nodes.domain.engine import EngineFailure
from tests.fakes.transcription.engines import vosk_wheel
from tests.fakes.transcription.engines.audio_files import silence, tone, write_flac
from transcription.adapters.engines.vosk import Vosk, language_of, segment_of


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("en-small", "vosk-model-small-de-0.15"):
        (tmp_path / "vosk" / name / "am").mkdir(parents=True)
        (tmp_path / "vosk" / name / "am" / "final.mdl").write_bytes(bytes(1_000_000))
    return tmp_path


@pytest.fixture
def engine(models: Path, monkeypatch: pytest.MonkeyPatch) -> Vosk:
    monkeypatch.setitem(sys.modules, "vosk", vosk_wheel)
    engine = Vosk()
    engine.load("en-small", models)
    return engine


@pytest.mark.parametrize(
    ("model", "language"),
    [
        ("vosk-model-small-en-us-0.15", "en"),
        ("vosk-model-en-us-0.22-lgraph", "en"),
        ("vosk-model-small-cn-0.22", "zh"),
        ("de-small", "de"),
        ("vosk-model-uk-v3", "uk"),
        ("mine", None),
    ],
)
def test_the_language_is_read_from_the_name_of_the_model(model: str, language: str | None) -> None:
    assert language_of(model) == language


def test_each_model_folder_is_a_record_of_its_language(models: Path) -> None:
    found = {record.model: record for record in Vosk().inventory(models)}
    assert {model: record.traits for model, record in found.items()} == {
        "en-small": ("word-times", "lang:en"),
        "vosk-model-small-de-0.15": ("word-times", "lang:de"),
    }
    assert all(record.usable and record.memory_mb >= 300 for record in found.values())


def test_without_a_model_the_inventory_says_what_to_type(tmp_path: Path) -> None:
    (record,) = Vosk().inventory(tmp_path)
    assert not record.usable
    assert "clustercore models pull vosk:en-small" in record.reason


def test_without_the_wheel_every_record_says_what_to_install(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transcription.adapters.engines.vosk.find_spec", lambda name: None)
    records = Vosk().inventory(models)
    assert len(records) == 2
    assert all("pip install 'clustercore[vosk]'" in record.reason and not record.usable for record in records)


def test_the_inventory_does_not_import_the_wheel(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert importlib.util.find_spec("vosk") is not None
    monkeypatch.setitem(sys.modules, "vosk", None)
    monkeypatch.setattr("transcription.adapters.engines.vosk.find_spec", lambda name: object())
    assert all(record.usable for record in Vosk().inventory(models))


def test_hidden_folders_are_no_models(models: Path) -> None:
    (models / "vosk" / ".quarantine" / "en-small").mkdir(parents=True)
    assert len(Vosk().inventory(models)) == 2


def test_a_folder_that_holds_no_model_or_tells_no_language_is_not_usable(tmp_path: Path) -> None:
    (tmp_path / "vosk" / "en-small").mkdir(parents=True)
    (tmp_path / "vosk" / "mine" / "am").mkdir(parents=True)
    (tmp_path / "vosk" / "mine" / "am" / "final.mdl").touch()
    reasons = {record.model: record.reason for record in Vosk().inventory(tmp_path)}
    assert "no am/final.mdl" in reasons["en-small"]
    assert "does not tell its language" in reasons["mine"]


def test_utterances_become_segments_with_their_words(engine: Vosk, tmp_path: Path) -> None:
    samples = np.concatenate([silence(1), tone(0.5), silence(1), tone(0.25)])
    path = write_flac(tmp_path / "piece.flac", samples)
    response = engine.run({"path": str(path), "language": "en", "prompt": None, "words": True}, lambda *_: None)
    assert [(segment["start"], segment["end"]) for segment in response["segments"]] == [(1.0, 1.5), (2.5, 2.75)]
    assert response["segments"][0]["text"] == "w1.00 w1.25"
    assert response["segments"][0]["words"][0] == {"word": "w1.00", "start": 1.0, "end": 1.25, "probability": 0.9877}
    assert (response["language"], response["seconds_of_audio"]) == ("en", 2.75)


def test_progress_is_reported_for_every_second_of_audio(engine: Vosk, tmp_path: Path) -> None:
    path = write_flac(tmp_path / "piece.flac", silence(10))
    fractions: list[float] = []
    engine.run({"path": str(path), "language": None}, lambda fraction, event=None: fractions.append(fraction))
    assert len(fractions) == 11
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_another_language_is_refused_with_the_remedy(engine: Vosk, tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match="models pull faster-whisper:small") as caught:
        engine.run({"path": "x", "language": "de"}, lambda *_: None)
    assert caught.value.code == "language_not_supported"


@pytest.mark.parametrize("model", ["absent", "../en-small", ".quarantine", ""])
def test_a_model_that_is_not_there_is_missing(models: Path, model: str) -> None:
    with pytest.raises(EngineFailure) as caught:
        Vosk().load(model, models)
    assert caught.value.code == "model_missing"


def test_running_before_loading_is_refused() -> None:
    with pytest.raises(EngineFailure) as caught:
        Vosk().run({"path": "x"}, lambda *_: None)
    assert caught.value.code == "not_loaded"


@pytest.mark.parametrize(("words", "text"), [(["guten", "tag"], "guten tag"), (["你", "好", "世界"], "你好世界")])
def test_words_of_a_script_without_spaces_are_set_without_them(words: list[str], text: str) -> None:
    heard = [{"word": word, "start": n, "end": n + 1, "conf": 1.0} for n, word in enumerate(words)]
    assert segment_of({"text": " ".join(words), "result": heard}, with_words=True)["text"] == text
