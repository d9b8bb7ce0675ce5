"""A model folder may come from anywhere: whatever lies in it is read as numbers and text, and never executed."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clustercore.nodes.adapters.model_store import pull
from clustercore.nodes.domain.engine import EngineFailure
from tests.fakes.transcription.engines.tiny_whisper import SMALLEST, write_tiny_whisper
from transcription.adapters.engines.faster_whisper import FasterWhisper


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("healthy") / "model", shape=SMALLEST)


def plain(path: Path, trap: Trap) -> None:
    path.write_bytes(pickle.dumps(trap))


def as_pytorch_packs_it(path: Path, trap: Trap) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(trap))
        archive.writestr("archive/version", "3\n")


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "trap")))
    assert (tmp_path / "trap").exists()


@pytest.mark.parametrize("packed", [plain, as_pytorch_packs_it])
@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_pickle_in_the_place_of_a_models_file_is_refused_and_not_executed(
    healthy: Path, tmp_path: Path, name: str, packed: Any
) -> None:
    source = Path(shutil.copytree(healthy, tmp_path / "source"))
    packed(source / name, Trap(tmp_path / "trap"))
    pull("faster-whisper:trapped", tmp_path / "models", 1.0, source=str(source))
    engine = FasterWhisper()
    try:
        engine.load("trapped", tmp_path / "models")
    except EngineFailure as failure:
        assert failure.code == "model_corrupt"
    else:
        # What the runtime does not need it does not read; the vocabulary lies in the tokenizer as well.
        assert name == "vocabulary.json"
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl", "optimizer.pth", "conftest.py"])
def test_what_lies_beside_a_model_is_not_even_opened(healthy: Path, tmp_path: Path, name: str) -> None:
    source = Path(shutil.copytree(healthy, tmp_path / "source"))
    plain(source / name, Trap(tmp_path / "trap"))
    pull("faster-whisper:trapped", tmp_path / "models", 1.0, source=str(source))
    FasterWhisper().load("trapped", tmp_path / "models")
    assert not (tmp_path / "trap").exists()
