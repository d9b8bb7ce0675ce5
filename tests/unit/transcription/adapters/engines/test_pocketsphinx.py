from __future__ import annotations

from pathlib import Path

import pytest

from clustercore.nodes.domain.engine import EngineFailure
from transcription.adapters.engines import pocketsphinx
from transcription.adapters.engines.pocketsphinx import PocketSphinx, refuse_other_languages


def test_the_model_of_the_wheel_is_usable_with_nothing_downloaded(tmp_path: Path) -> None:
    (record,) = PocketSphinx().inventory(tmp_path / "absent")
    assert (record.model, record.traits, record.usable) == ("en-us", ("word-times", "lang:en"), True)


def test_without_the_wheel_the_inventory_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketsphinx, "find_spec", lambda name: None)
    (record,) = PocketSphinx().inventory(tmp_path)
    assert not record.usable
    assert "pip install pocketsphinx" in record.reason


@pytest.mark.parametrize("language", [None, "en", "EN", "en-GB"])
def test_english_and_nothing_said_are_accepted(language: str | None) -> None:
    refuse_other_languages(language)


def test_another_language_is_refused_with_the_remedy() -> None:
    with pytest.raises(EngineFailure, match=r"English only, not 'de'.*models pull faster-whisper:small") as caught:
        refuse_other_languages("de")
    assert caught.value.code == "language_not_supported"


def test_another_model_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure) as caught:
        PocketSphinx().load("de-de", tmp_path)
    assert caught.value.code == "model_missing"


def test_running_before_loading_is_refused() -> None:
    with pytest.raises(EngineFailure) as caught:
        PocketSphinx().run({"path": "x"}, lambda *_: None)
    assert caught.value.code == "not_loaded"
