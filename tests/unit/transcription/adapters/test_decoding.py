"""What of a file is decoded, and what is said of its end."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from tests.fakes.transcription.recordings import encode
from transcription.adapters.decoding import Decoder, Health
from transcription.adapters.notes import notes_on_tracks
from transcription.adapters.opening import last_moment
from transcription.adapters.spans import Span
from transcription.adapters.surveying import Source, declared_seconds, survey
from transcription.domain.cut import Samples

RATE = 48_000
SECONDS = 2


def tone(channels: int = 1) -> np.ndarray:
    one = 0.3 * np.sin(np.arange(SECONDS * RATE) / 20)
    return np.stack([one] * channels).astype(np.float32)


def bytes_of(kind: str, directory: Path) -> bytes:
    return encode(tone(), RATE, kind, directory / "one").read_bytes()


def heard(content: bytes, directory: Path) -> tuple[float, Health, Source]:
    """Seconds that are decoded of a file, and what is told of it."""
    (directory / "file").write_bytes(content)
    source = survey(directory / "file", None, lambda: None)
    decoder = Decoder(source, 3600.0, lambda: None)
    return sum(map(len, decoder.blocks())) / 16_000, decoder.health, source


@pytest.mark.parametrize(
    ("kind", "left"), [("ogg-opus", 40), ("ogg-opus", 150), ("flac", 60), ("wav", 44), ("wav", 20)]
)
def test_a_later_link_that_cannot_be_opened_costs_nothing_of_the_others(kind: str, left: int, tmp_path: Path) -> None:
    whole = bytes_of(kind, tmp_path)
    seconds, health, source = heard(whole + whole[:left], tmp_path)
    assert seconds == pytest.approx(SECONDS, abs=0.05)
    assert health.broke_off
    assert declared_seconds(source) == pytest.approx(SECONDS, abs=0.05)


def test_the_promise_of_a_last_link_without_its_sound_is_told(tmp_path: Path) -> None:
    whole = bytes_of("wav", tmp_path)
    head = whole.index(b"data") + 8
    _, health, _ = heard(whole + whole[:head], tmp_path)
    assert health.promised_seconds == pytest.approx(2 * SECONDS)


def test_a_link_without_sound_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    whole = bytes_of("ogg-opus", tmp_path)
    soundless = b"OggS\0\2" + bytes(8) + b"abcd" + bytes(8) + b"\1\5nosou"
    seconds, health, _ = heard(whole + soundless + whole, tmp_path)
    assert seconds == pytest.approx(2 * SECONDS, abs=0.05)
    assert not health.broke_off


def test_a_first_link_that_breaks_off_promises_nothing_for_the_whole(tmp_path: Path) -> None:
    whole = bytes_of("flac", tmp_path)
    _, health, _ = heard(whole[: len(whole) // 3] + whole, tmp_path)
    assert health.broke_off
    assert health.promised_seconds is None


def test_a_last_link_that_breaks_off_promises_the_length_of_all(tmp_path: Path) -> None:
    whole = bytes_of("wav", tmp_path)
    seconds, health, _ = heard(whole + whole[: len(whole) // 2], tmp_path)
    assert seconds == pytest.approx(1.5 * SECONDS, abs=0.05)
    assert health.promised_seconds == pytest.approx(2 * SECONDS, abs=0.05)


def test_a_whole_recording_promises_no_more_than_there_is(tmp_path: Path) -> None:
    _, health, _ = heard(bytes_of("m4a", tmp_path), tmp_path)
    assert not health.broke_off
    assert health.promised_seconds is None


def test_the_end_of_the_picture_is_looked_for_no_further_than_needed_and_told_as_work(tmp_path: Path) -> None:
    path = encode(tone(), RATE, "mkv-video", tmp_path / "film", picture_seconds=60.0)
    ticks: list[None] = []
    span = Span(0, path.stat().st_size)
    assert last_moment(path, span, 1e9, lambda: ticks.append(None)) == pytest.approx(60.0, abs=0.2)
    whole = len(ticks)
    assert whole > 600
    assert last_moment(path, span, 10.0, lambda: ticks.append(None)) == pytest.approx(10.0, abs=0.5)
    assert len(ticks) - whole < whole / 2


def test_of_many_silent_tracks_only_the_first_are_looked_through_and_named(tmp_path: Path) -> None:
    path = tmp_path / "many.mka"
    with av.open(str(path), "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(20)]
        for stream in streams:
            frame = AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            container.mux(stream.encode(frame))
    source = survey(path, None, lambda: None)
    assert (source.track, len(source.silent)) == (1, 8)
    [note] = notes_on_tracks(source)
    assert note.startswith("The recording has 20 audio tracks: 1 without any sound, 2 without")
    assert "8 without any sound and 12 more. Track 1 was heard" in note


def test_a_later_link_is_heard_on_the_track_that_was_chosen(tmp_path: Path) -> None:
    def link(*levels: float) -> bytes:
        with av.open(str(tmp_path / "link"), "w", format="ogg") as container:
            streams = [container.add_stream("flac", rate=16_000, layout="mono") for _ in levels]
            for stream, level in zip(streams, levels, strict=True):
                assert isinstance(stream, AudioStream)
                sound = (level * np.sin(np.arange(16_000) / 5)).astype(np.float32)[None]
                for at in range(0, 16_000, 1600):
                    part = (sound[:, at : at + 1600] * 32_767).astype(np.int16)
                    frame = AudioFrame.from_ndarray(np.ascontiguousarray(part), format="s16", layout="mono")
                    frame.sample_rate, frame.pts = 16_000, at
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
        return (tmp_path / "link").read_bytes()

    (tmp_path / "file").write_bytes(link(0.0, 0.5) + link(0.1, 0.5) + link(0.25))
    source = survey(tmp_path / "file", None, lambda: None)
    assert source.track == 2
    sound = np.concatenate(list(Decoder(source, 3600.0, lambda: None).blocks()))
    peaks = [np.abs(part.astype(int)).max() / 32_768 for part in np.split(sound[: 3 * 16_000], 3)]
    assert peaks == pytest.approx([0.5, 0.5, 0.25], abs=0.02)


def decoded_by_ffmpeg(path: Path) -> Samples:
    """The recording as FFmpeg alone gives it: 16 kHz, its channels in equal parts, 16 bits."""
    resampler = AudioResampler(format="flt", rate=16_000)
    with av.open(str(path)) as container:
        parts = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    parts += resampler.resample(None)
    mixed = np.concatenate([part.to_ndarray().reshape(part.samples, -1).mean(axis=1) for part in parts])
    whole: Samples = np.clip(np.rint(mixed * 32_768), -32_768, 32_767).astype(np.int16)
    return whole


@pytest.mark.parametrize("kind", ["wav", "wav-float", "flac", "mp3-constant", "m4a", "m4a-lossless"])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_ordinary_recording_is_heard_to_the_bit_as_ffmpeg_decodes_it(
    kind: str, channels: int, tmp_path: Path
) -> None:
    rate = 44_100
    times = np.arange(round(5.02 * rate)) / rate
    # Slow waves: a part of one, taken for itself, looks like an offset.
    sound = 0.3 * np.sin(2 * np.pi * 60 * times) + 0.01 * np.random.default_rng(7).normal(size=len(times))
    path = encode(np.stack([sound] * channels).astype(np.float32), rate, kind, tmp_path / "recording")
    blocks = list(Decoder(survey(path, None, lambda: None), 3600.0, lambda: None).blocks())
    assert np.array_equal(np.concatenate(blocks), decoded_by_ffmpeg(path))
    assert {len(block) for block in blocks[:-1]} == {16_000}
