"""The engines inside the child processes that they live in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clustercore.nodes.adapters.plugins import load_plugin
from clustercore.nodes.adapters.runners import RunnerPool
from clustercore.nodes.domain.engine import EngineFailure
from tests.fakes.transcription.engines.tiny_whisper import SMALLEST, write_tiny_whisper
from transcription.adapters.bundled_clip import clip_request, judge_clip
from transcription.domain.engines import ENGINES


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper model of random weights, and a broken one of Vosk."""
    models = tmp_path_factory.mktemp("models")
    write_tiny_whisper(models / "faster-whisper" / "random", shape=SMALLEST, maximum_tokens=30)
    (models / "vosk" / "en-small" / "am").mkdir(parents=True)
    (models / "vosk" / "en-small" / "am" / "final.mdl").write_bytes(b"no model")
    return models


@pytest.fixture
def runners(models: Path) -> Iterator[RunnerPool]:
    plugins = {load_plugin(spec).name: spec for spec in ENGINES}
    pool = RunnerPool(plugins, models, slots=1, threads=1, silent_seconds=60)
    yield pool
    pool.close()


def test_pocketsphinx_in_its_runner_hears_the_bundled_clip(runners: RunnerPool) -> None:
    fractions: list[float] = []
    response = runners.call(
        "pocketsphinx", "en-us", clip_request(), tag="t", on_report=lambda fraction, event: fractions.append(fraction)
    )
    assert judge_clip(response).passed
    assert fractions[-1] == 1.0


def test_faster_whisper_in_its_runner_answers_with_plain_json(runners: RunnerPool) -> None:
    response = runners.call("faster-whisper", "random", clip_request(), tag="t", on_report=lambda *_: None)
    assert response["segments"]
    assert response["device"] in {"cpu", "cuda"}


def test_a_broken_vosk_model_fails_in_its_runner_with_the_remedy(runners: RunnerPool) -> None:
    with pytest.raises(EngineFailure, match="clustercore models pull vosk:en-small") as caught:
        runners.call("vosk", "en-small", clip_request(), tag="t", on_report=lambda *_: None)
    assert caught.value.code == "model_corrupt"
