from __future__ import annotations

import io
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clustercore.blobs.domain.ranges import ByteRange
from transcription.adapters.flac import write_flac
from transcription.adapters.joined_pieces import JoinedPieces, PieceFile

SOUND = np.random.default_rng(1).integers(-30_000, 30_000, 50_000, dtype=np.int16)
CUTS = (0, 17_001, 17_777, 50_000)


@pytest.fixture
def pieces(tmp_path: Path) -> list[PieceFile]:
    made = []
    for number, (start, end) in enumerate(pairwise(CUTS)):
        path = tmp_path / f"{number}.flac"
        write_flac(path, SOUND[start:end])
        made.append(PieceFile(path, start, end))
    return made


def bytes_of(joined: JoinedPieces) -> bytes:
    return b"".join(joined.blocks())


def test_the_pieces_are_one_recording_again(pieces: list[PieceFile]) -> None:
    joined = JoinedPieces(pieces)
    content = bytes_of(joined)
    assert len(content) == joined.size
    with wave.open(io.BytesIO(content)) as file:
        assert file.getframerate() == 16_000
        assert file.readframes(file.getnframes()) == SOUND.tobytes()


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (10, 60), (43, 44), (44, 45), (34_045, 34_046), (34_000, 36_000), (99_999, 100_043), (20_001, 90_000)],
)
def test_any_range_of_it_is_the_same_bytes(pieces: list[PieceFile], start: int, end: int) -> None:
    whole = bytes_of(JoinedPieces(pieces))
    joined = JoinedPieces(pieces)
    joined.limit(ByteRange(start, end))
    assert bytes_of(joined) == whole[start : end + 1]


def test_without_a_piece_it_is_an_empty_recording() -> None:
    joined = JoinedPieces([])
    assert len(bytes_of(joined)) == joined.size == 44
