from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clustercore.nodes.domain.engine import EngineFailure
from tests.fakes.transcription.engines.audio_files import silence, tone, write_flac
from transcription.adapters.engines.audio import read_samples, seconds_of


def code_of_reading(path: Path) -> str:
    with pytest.raises(EngineFailure) as caught:
        read_samples(path)
    return caught.value.code


def test_the_samples_of_a_piece_come_back_as_they_were_written(tmp_path: Path) -> None:
    samples = np.concatenate([tone(1.3), silence(0.2)])
    read = read_samples(write_flac(tmp_path / "piece.flac", samples))
    assert read.dtype == np.int16
    assert np.array_equal(read, samples)
    assert seconds_of(read) == 1.5


def test_another_sample_rate_is_converted(tmp_path: Path) -> None:
    path = write_flac(tmp_path / "piece.flac", tone(2.0), rate=32_000)
    assert seconds_of(read_samples(path)) == pytest.approx(1.0, abs=0.01)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert code_of_reading(tmp_path / "nowhere.flac") == "media_missing"


def test_a_playlist_in_the_clothes_of_audio_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "list.flac").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    assert code_of_reading(tmp_path / "list.flac") == "media_unreadable"


def test_an_empty_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "empty.flac").touch()
    assert code_of_reading(tmp_path / "empty.flac") == "media_unreadable"


def test_a_piece_that_lost_its_end_is_unreadable_rather_than_shorter(tmp_path: Path) -> None:
    path = write_flac(tmp_path / "piece.flac", np.random.default_rng(0).integers(-9_000, 9_000, 48_000, dtype=np.int16))
    path.write_bytes(path.read_bytes()[:-40_000])
    assert code_of_reading(path) == "media_unreadable"
