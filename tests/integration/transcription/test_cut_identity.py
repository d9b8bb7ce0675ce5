"""A real engine hears in the pieces exactly what it hears in an uncut decoding, sliced at the same samples."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler

import transcription
from tests.fakes.transcription.pipeline import Reports, cut
from transcription.adapters.engines.pocketsphinx import PocketSphinx
from transcription.adapters.flac import read_flac, write_flac
from transcription.adapters.opening import open_media
from transcription.domain.accuracy import word_error_rate
from transcription.domain.cut import Samples
from transcription.domain.merge import HeardPiece, merge

CONVERSATION = Path(transcription.__file__).parent / "samples" / "conversation.opus"
EXCERPT_SECONDS = 31


def decoded_at_once(path: Path) -> Samples:
    """The whole recording at 16 kHz mono, by FFmpeg alone."""
    resampler = AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(path)) as container:
        frames = [result for frame in container.decode(audio=0) for result in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


@pytest.fixture
def excerpt(tmp_path: Path) -> Path:
    """The first part of the bundled conversation, without decoding it."""
    path = tmp_path / "excerpt"
    with open_media(CONVERSATION) as media, path.open("wb") as file, av.open(file, "w", format="ogg") as output:
        stream = output.add_stream_from_template(media.stream)
        for packet in media.container.demux(media.stream):
            if packet.pts is None or packet.pts * packet.time_base > EXCERPT_SECONDS:
                break
            packet.stream = stream
            output.mux(packet)
    return path


def hear(engine: PocketSphinx, path: Path) -> list[dict[str, object]]:
    """The segments in a file."""
    segments: list[dict[str, object]] = engine.run({"path": str(path), "language": "en"}, Reports())["segments"]
    return segments


def test_pieces_hold_the_samples_and_give_the_text_of_the_uncut_recording(excerpt: Path, tmp_path: Path) -> None:
    engine = PocketSphinx()
    engine.load("en-us", tmp_path)
    _, reports = cut(excerpt, tmp_path / "pieces", 10.0, 6.0)
    uncut = decoded_at_once(excerpt)
    assert reports.cuts[-1][1] == len(uncut)
    by_pieces, by_slices = [], []
    for piece, (start, end) in zip(reports.pieces, reports.cuts, strict=True):
        assert np.array_equal(read_flac(Path(piece["path"])), uncut[start:end])
        write_flac(tmp_path / "slice.flac", uncut[start:end])
        by_pieces.append(HeardPiece(start, end, hear(engine, Path(piece["path"]))))
        by_slices.append(HeardPiece(start, end, hear(engine, tmp_path / "slice.flac")))
    assert merge(by_pieces) == merge(by_slices)
    assert spoken_in(merge(by_pieces).text) <= 0.25


def spoken_in(text: str) -> float:
    """The error rate against as much of the script as the excerpt holds."""
    script = CONVERSATION.with_suffix(".txt").read_text(encoding="utf-8").split()
    return min(word_error_rate(" ".join(script[:count]), text) for count in range(50, 130))
