"""Recordings of known words go in; the same words, each once and in its place, come out."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustercore.nodes.domain.engine import EngineFailure
from tests.fakes.transcription.engines.tones import synthesise
from tests.fakes.transcription.pipeline import cut, transcribe, worst_shift
from tests.fakes.transcription.recordings import FORMATS, encode
from transcription.adapters.flac import read_flac
from transcription.adapters.media import MediaCutter

TOLERANCE_SECONDS = 0.02


@st.composite
def recordings(draw: st.DrawFn) -> tuple[str, int, int]:
    """A format, and a rate and number of channels that it can carry."""
    kind = draw(st.sampled_from(sorted(FORMATS)))
    rate = draw(st.sampled_from(FORMATS[kind].rates))
    channels = draw(st.sampled_from((1, 2) if "mp3" in kind else (1, 2, 6)))
    return kind, rate, channels


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    recording=recordings(),
    words=st.integers(1, 60),
    seed=st.integers(0, 2**16),
    piece_seconds=st.sampled_from((2.0, 3.7, 8.0, 15.0, 30.0, 600.0)),
)
def test_every_word_arrives_once_and_in_its_place(
    recording: tuple[str, int, int], words: int, seed: int, piece_seconds: float
) -> None:
    kind, rate, channels = recording
    samples, truth = synthesise(words, seed, rate, channels, first=seed % 60_000)
    with tempfile.TemporaryDirectory() as directory:
        path = encode(samples, rate, kind, Path(directory) / "recording")
        result, reports = cut(path, Path(directory) / "pieces", piece_seconds, piece_seconds * 0.6)
        assert worst_shift(transcribe(reports.pieces), truth) <= TOLERANCE_SECONDS
    assert result["samples"] == reports.cuts[-1][1]


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_format_keeps_its_words(kind: str, tmp_path: Path) -> None:
    rate = FORMATS[kind].rates[-1]
    samples, truth = synthesise(20, 7, rate, 2, first=4321)
    result, reports = cut(encode(samples, rate, kind, tmp_path / "recording"), tmp_path / "pieces", 4.0, 2.0)
    assert worst_shift(transcribe(reports.pieces), truth) <= TOLERANCE_SECONDS
    assert len(reports.pieces) > 1
    assert result["notes"] == []


@settings(max_examples=8, deadline=None, derandomize=True)
@given(words=st.integers(10, 60), seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_a_second_attempt_goes_on_with_the_cuts_of_the_first(words: int, seed: int, share: float) -> None:
    samples, _ = synthesise(words, seed, 44_100, 2)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = encode(samples, 44_100, "mp3-variable", directory / "recording")
        whole, first = cut(path, directory / "first", 3.0, 2.0)
        known = first.cuts[: round(share * len(first.cuts))]
        resumed, second = cut(path, directory / "second", 3.0, 2.0, known=known)
        assert known + second.cuts == first.cuts
        assert resumed["samples"] == whole["samples"]
        assert len(list((directory / "second").iterdir())) == len(second.cuts)
        for old, new in zip(first.pieces[len(known) :], second.pieces, strict=True):
            assert Path(old["path"]).name == Path(new["path"]).name
            assert np.array_equal(read_flac(Path(old["path"])), read_flac(Path(new["path"])))


def test_sound_that_begins_after_the_picture_is_late_in_the_transcript_too(tmp_path: Path) -> None:
    samples, truth = synthesise(12, 3, 48_000, 2)
    path = encode(samples, 48_000, "mkv-video", tmp_path / "recording", delay_seconds=1.7)
    result, reports = cut(path, tmp_path / "pieces", 5.0, 2.0)
    late = [type(word)(word.word, word.start + 1.7, word.end + 1.7) for word in truth]
    assert worst_shift(transcribe(reports.pieces), late) <= TOLERANCE_SECONDS
    assert "silence" in result["notes"][0]


def test_a_gap_in_the_time_stamps_is_filled_with_silence(tmp_path: Path) -> None:
    samples, truth = synthesise(12, 5, 48_000, 1)
    half = samples.shape[1] // 2 // 4800 * 4800
    path = encode(samples, 48_000, "webm-opus", tmp_path / "recording", gap=(half, 2.5))
    _, reports = cut(path, tmp_path / "pieces", 5.0, 2.0)
    transcript = transcribe(reports.pieces)
    heard = {word.word: word for segment in transcript.segments for word in segment.words}
    for spoken in truth:
        shift = 2.5 if spoken.start > half / 48_000 else 0.0
        whole = not spoken.start <= half / 48_000 <= spoken.end
        assert not whole or abs(heard[spoken.word].start - spoken.start - shift) <= TOLERANCE_SECONDS


def test_a_recording_shorter_than_a_piece_is_one_piece(tmp_path: Path) -> None:
    samples, _ = synthesise(1, rate=16_000)
    result, reports = cut(encode(samples, 16_000, "wav", tmp_path / "recording"), tmp_path / "pieces", 30.0, 10.0)
    assert reports.cuts == [(0, result["samples"])]


def test_pieces_are_handed_over_while_the_rest_is_still_being_decoded(tmp_path: Path) -> None:
    samples, _ = synthesise(120, rate=16_000)
    _, reports = cut(encode(samples, 16_000, "flac", tmp_path / "recording"), tmp_path / "pieces", 5.0, 2.0)
    at_hand_over = [fraction for fraction in reports.fractions if fraction < 1]
    assert at_hand_over == sorted(at_hand_over)
    assert at_hand_over[0] < 0.3


def test_no_unfinished_file_is_left_in_the_folder(tmp_path: Path) -> None:
    samples, _ = synthesise(20, rate=16_000)
    path = encode(samples, 16_000, "flac", tmp_path / "recording")
    with pytest.raises(RuntimeError):
        cut_and_fail(path, tmp_path / "pieces")
    assert [entry.name for entry in (tmp_path / "pieces").iterdir()] == ["00000.flac"]


def cut_and_fail(path: Path, directory: Path) -> None:
    """Cut with a listener that breaks at the first piece."""

    def listener(fraction: float, event: object = None) -> None:
        if event is not None:
            raise RuntimeError("the hub is gone")

    MediaCutter().run(
        {"path": path, "directory": directory, "piece_seconds": 3, "window_seconds": 2, "maximum_seconds": 100},
        listener,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files.")
def test_a_full_disk_is_named_and_leaves_no_half_of_a_piece(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    noise = (np.random.default_rng(1).normal(size=(1, 16_000 * 30)) * 0.2).astype(np.float32)
    path = encode(noise, 16_000, "wav", tmp_path / "recording")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(EngineFailure, match="Free some space") as caught:
            cut(path, tmp_path / "pieces", 10.0, 4.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "cannot_write"
    assert list((tmp_path / "pieces").iterdir()) == []
