"""What is heard is what was said: late, quiet, chained, out of phase, on another track, or after a header that errs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition

import transcription
from tests.fakes.transcription.engines.tones import LAYOUTS, Signal, SpokenWord, synthesise
from tests.fakes.transcription.pipeline import Reports, cut, transcribe, worst_shift
from tests.fakes.transcription.recordings import FORMATS, Format, encode, play, stamps
from transcription.adapters.engines.pocketsphinx import PocketSphinx
from transcription.adapters.flac import read_flac
from transcription.adapters.opening import MediaError

TOLERANCE_SECONDS = 0.02
RATE = 48_000


FRAGMENTS = "frag_every_frame+empty_moov+default_base_moof"


def later(truth: Sequence[SpokenWord], seconds: float) -> list[SpokenWord]:
    return [replace(word, start=word.start + seconds, end=word.end + seconds) for word in truth]


def heard_in(path: Path, truth: Sequence[SpokenWord], *, track: int | None = None) -> list[str]:
    """Assert that a recording holds just these words at their times; the notes on it."""
    result, reports = cut(path, path.parent / "pieces", 30.0, 5.0, track=track)
    assert worst_shift(transcribe(reports.pieces), list(truth)) <= TOLERANCE_SECONDS
    return list(result["notes"])


def tracks(path: Path, container: str, sounds: Sequence[Signal], titles: Sequence[str] = (), default: int = 0) -> Path:
    """A file with an audio track for each of the sounds; `default` counts from 1, 0 leaves all alike."""
    with path.open("wb") as file, av.open(file, "w", format=container) as output:
        streams = [output.add_stream("aac", rate=RATE, layout=LAYOUTS[len(sound)]) for sound in sounds]
        for number, stream in enumerate(streams, 1):
            if number <= len(titles):
                stream.metadata["title"] = titles[number - 1]
            stream.disposition = Disposition.default if number == default else Disposition(0)
        for stream, sound in zip(streams, sounds, strict=True):
            play(output, stream, sound, stamps(sound, RATE, 0.0, None))
    return path


LATE = {
    "mp4": Format("mp4", "aac", bit_rate=64_000, picture=True),
    "m4a": Format("ipod", "aac", bit_rate=64_000),
    "mkv": Format("matroska", "libopus", (RATE,), 32_000, picture=True),
    "ts": Format("mpegts", "aac", bit_rate=64_000, picture=True),
}


@pytest.mark.parametrize("kind", sorted(LATE))
def test_sound_that_begins_after_more_than_ten_minutes_keeps_its_times(kind: str, tmp_path: Path) -> None:
    samples, truth = synthesise(6, rate=RATE)
    path = encode(samples, RATE, LATE[kind], tmp_path / "recording", delay_seconds=640.0, picture_seconds=2.0)
    assert "640.0 s missing" in heard_in(path, later(truth, 640.0))[0]


@pytest.mark.parametrize("kind", ["webm-opus", "mkv-aac"])
def test_a_gap_of_more_than_ten_minutes_keeps_the_times_behind_it(kind: str, tmp_path: Path) -> None:
    first, truth = synthesise(4, 1, RATE)
    second, more = synthesise(4, 2, RATE, first=300, lead_seconds=0.5)
    first = first[:, : first.shape[1] // 4800 * 4800]
    whole = np.concatenate([first, second], axis=1)
    path = encode(whole, RATE, kind, tmp_path / "recording", gap=(first.shape[1], 700.0))
    heard_in(path, [*truth, *later(more, first.shape[1] / RATE + 700.0)])


def test_a_clock_that_jumps_by_a_day_adds_no_silence_and_is_told(tmp_path: Path) -> None:
    first, truth = synthesise(4, 1, RATE)
    second, more = synthesise(4, 2, RATE, first=300, lead_seconds=0.5)
    first = first[:, : first.shape[1] // 4800 * 4800]
    path = encode(
        np.concatenate([first, second], axis=1),
        RATE,
        Format("mpegts", "aac", bit_rate=64_000),
        tmp_path / "recording",
        gap=(first.shape[1], 80_000.0),
    )
    result, reports = cut(path, tmp_path / "pieces")
    assert result["samples"] < 20 * 16_000
    assert len(transcribe(reports.pieces).text.split()) >= len([*truth, *more]) - 1
    assert "clock jumps by" in result["notes"][0]


@pytest.mark.parametrize("kind", ["wav", "mp3-constant", "m4a"])
def test_stereo_whose_channels_cancel_each_other_out_is_heard(kind: str, tmp_path: Path) -> None:
    samples, truth = synthesise(10, rate=RATE)
    path = encode(np.concatenate([samples, -samples]), RATE, kind, tmp_path / "recording")
    assert "cancel each other out" in heard_in(path, truth)[0]


@pytest.mark.parametrize("decibels", [-50, -60])
def test_quiet_sound_is_heard_and_told(decibels: int, tmp_path: Path) -> None:
    samples, truth = synthesise(10, rate=RATE)
    path = encode(samples * np.float32(10 ** (decibels / 20)), RATE, "wav", tmp_path / "recording")
    assert "very quiet" in heard_in(path, truth)[0]


def test_an_engine_hears_speech_that_was_recorded_far_too_quietly(tmp_path: Path) -> None:
    clip = Path(transcription.__file__).parent / "samples" / "clip.flac"
    quiet = np.rint(read_flac(clip) * 10 ** (-55 / 20)) / 32_768
    path = encode(quiet.astype(np.float32)[None], 16_000, "wav", tmp_path / "recording")
    _, reports = cut(path, tmp_path / "pieces", 30.0, 5.0)
    engine = PocketSphinx()
    engine.load("en-us", tmp_path)
    words = [
        segment["text"]
        for piece in reports.pieces
        for segment in engine.run({"path": piece["path"], "language": "en"}, Reports())["segments"]
    ]
    script = clip.with_suffix(".txt").read_text(encoding="utf-8").split()
    assert len(" ".join(words).split()) >= 0.8 * len(script)


@pytest.mark.parametrize("kind", ["wav", "wav-float"])
def test_overdriven_sound_is_heard_and_told(kind: str, tmp_path: Path) -> None:
    samples, truth = synthesise(10, rate=RATE)
    assert "overdriven" in heard_in(encode(samples * 8, RATE, kind, tmp_path / "recording"), truth)[0]


def test_a_recording_without_any_sound_says_so(tmp_path: Path) -> None:
    path = encode(np.zeros((1, RATE * 3), np.float32), RATE, "flac", tmp_path / "recording")
    result, reports = cut(path, tmp_path / "pieces")
    assert "is silent" in result["notes"][0]
    assert [piece["sound_seconds"] for piece in reports.pieces] == [0.0]


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_when_the_first_track_is_silent_another_one_is_heard_and_told(container: str, tmp_path: Path) -> None:
    samples, truth = synthesise(8, rate=RATE)
    path = tracks(tmp_path / "recording", container, [np.zeros_like(samples), samples])
    [note] = heard_in(path, truth)
    assert "2 audio tracks: 1 without any sound, 2" in note
    assert "Track 2 was heard" in note


def test_a_commentary_is_not_heard_instead_of_the_film(tmp_path: Path) -> None:
    film, truth = synthesise(8, rate=RATE)
    remarks, said = synthesise(8, 2, RATE, first=700)
    path = tracks(tmp_path / "recording", "matroska", [remarks, film], ["Director's commentary", "Film"])
    assert "1 (Director's commentary), 2 (Film)" in heard_in(path, truth)[0]
    assert "Track 1 was heard" in heard_in(path, said, track=1)[0]


def test_the_track_that_is_flagged_as_default_is_heard(tmp_path: Path) -> None:
    film, truth = synthesise(8, rate=RATE)
    dubbed, _ = synthesise(8, 2, RATE, first=700)
    heard_in(tracks(tmp_path / "recording", "matroska", [dubbed, film], default=2), truth)


def test_a_track_that_is_not_there_is_refused_with_a_list(tmp_path: Path) -> None:
    film, _ = synthesise(3, rate=RATE)
    path = tracks(tmp_path / "recording", "matroska", [film, film], ["Film", "Dubbed"])
    with pytest.raises(MediaError, match=r"no audio track 3 .* 1 \(Film\), 2 \(Dubbed\)") as caught:
        cut(path, tmp_path / "pieces", track=3)
    assert caught.value.code == "no_such_track"


@pytest.mark.parametrize(
    ("codec", "rate", "channels"), [("vorbis", 44_100, 2), ("libopus", RATE, 1), ("flac", 8_000, 1)]
)
def test_a_chained_ogg_file_is_heard_to_its_end(codec: str, rate: int, channels: int, tmp_path: Path) -> None:
    form = Format("ogg", codec, bit_rate=64_000, options={"strict": "experimental"})
    first, truth = synthesise(8, 1, RATE, 2)
    second, more = synthesise(8, 2, rate, channels, first=500)
    links = [encode(first, RATE, form, tmp_path / "1"), encode(second, rate, form, tmp_path / "2")]
    (tmp_path / "recording").write_bytes(b"".join(link.read_bytes() for link in links))
    assert heard_in(tmp_path / "recording", [*truth, *later(more, first.shape[1] / RATE)]) == []


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3-constant", "mp3-variable"])
def test_files_put_one_behind_the_other_are_heard_to_the_end_and_called_whole(kind: str, tmp_path: Path) -> None:
    first, truth = synthesise(8, 1, RATE)
    second, more = synthesise(8, 2, 44_100, 2, first=500)
    links = [encode(first, RATE, kind, tmp_path / "1"), encode(second, 44_100, kind, tmp_path / "2")]
    (tmp_path / "recording").write_bytes(b"".join(link.read_bytes() for link in links))
    result, reports = cut(tmp_path / "recording", tmp_path / "pieces")
    # An encoder of MP3 puts some 40 ms before and behind the sound, which nothing marks in the middle of a file.
    padding = 0.08 if "mp3" in kind else 0.0
    assert worst_shift(transcribe(reports.pieces), [*truth, *later(more, first.shape[1] / RATE)]) <= 0.02 + padding
    assert not any("breaks off" in note for note in result["notes"])


def test_known_cuts_of_a_chained_and_quiet_recording_lead_to_the_same_samples(tmp_path: Path) -> None:
    first, _ = synthesise(20, 1, RATE)
    second, _ = synthesise(20, 2, 44_100, 2, first=500)
    links = [
        encode(first * np.float32(0.002), RATE, "wav", tmp_path / "1"),
        encode(second * np.array([[1], [-1]], np.float32), 44_100, "wav", tmp_path / "2"),
    ]
    (tmp_path / "recording").write_bytes(b"".join(link.read_bytes() for link in links))
    _, whole = cut(tmp_path / "recording", tmp_path / "first", 4.0, 2.0)
    _, resumed = cut(tmp_path / "recording", tmp_path / "second", 4.0, 2.0, known=whole.cuts[:2])
    assert whole.cuts[2:] == resumed.cuts
    for old, new in zip(whole.pieces[2:], resumed.pieces, strict=True):
        assert np.array_equal(read_flac(Path(old["path"])), read_flac(Path(new["path"])))


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav", "pcm_mulaw"])
def test_a_compressed_wav_file_is_not_called_cut_off(codec: str, tmp_path: Path) -> None:
    samples, truth = synthesise(10, rate=16_000)
    with (tmp_path / "recording").open("wb") as file, av.open(file, "w", format="wav") as output:
        sound = output.add_stream(codec, rate=16_000, layout="mono")
        assert isinstance(sound, AudioStream)
        play(output, sound, samples, stamps(samples, 16_000, 0, None))
    assert heard_in(tmp_path / "recording", truth) == []


def test_a_wav_file_with_more_metadata_than_sound_is_not_called_cut_off(tmp_path: Path) -> None:
    samples, truth = synthesise(10, rate=16_000)
    raw = encode(samples, 16_000, "wav", tmp_path / "plain").read_bytes()
    body = raw[8:36] + struct.pack("<4sI", b"iXML", 900_000) + b" " * 900_000 + raw[36:]
    (tmp_path / "recording").write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    assert heard_in(tmp_path / "recording", truth) == []


def test_a_wav_header_that_counts_itself_among_the_sound_is_not_believed_for_that(tmp_path: Path) -> None:
    samples, truth = synthesise(6, rate=16_000)
    raw = encode(samples, 16_000, "wav", tmp_path / "plain").read_bytes()
    at = raw.find(b"data") + 4
    (tmp_path / "recording").write_bytes(raw[:at] + struct.pack("<I", len(raw) - 8) + raw[at + 4 :])
    assert heard_in(tmp_path / "recording", truth) == []


def test_an_mp3_file_that_lost_its_cover_is_not_called_cut_off(tmp_path: Path) -> None:
    samples, truth = synthesise(10, rate=RATE)
    raw = encode(samples, RATE, "mp3-variable", tmp_path / "plain").read_bytes()
    at = raw.find(b"Xing") + 12
    counted = int.from_bytes(raw[at : at + 4], "big") + 100_000
    (tmp_path / "recording").write_bytes(raw[:at] + struct.pack(">I", counted) + raw[at + 4 :])
    assert heard_in(tmp_path / "recording", truth) == []


@pytest.mark.parametrize("container", ["matroska", "flv", "mp4", "avi"])
def test_a_film_that_outlasts_its_sound_is_not_called_cut_off(container: str, tmp_path: Path) -> None:
    samples, truth = synthesise(5, rate=44_100)
    with (tmp_path / "recording").open("wb") as file, av.open(file, "w", format=container) as output:
        picture = output.add_stream("flv" if container == "flv" else "mpeg4", rate=10)
        sound = output.add_stream("aac", rate=44_100, layout="mono")
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        play(output, sound, samples, stamps(samples, 44_100, 0, None))
        for index in range(300):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = index
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
    result, reports = cut(tmp_path / "recording", tmp_path / "pieces")
    assert worst_shift(transcribe(reports.pieces), truth) <= 0.03
    assert result["notes"] == []


@pytest.mark.parametrize("kind", ["mkv-video", "ogg-opus"])
def test_a_recording_that_was_cut_short_is_called_so_with_a_picture_or_without_a_length(
    kind: str, tmp_path: Path
) -> None:
    samples, _ = synthesise(40, rate=FORMATS[kind].rates[-1])
    whole = encode(samples, RATE, kind, tmp_path / "whole").read_bytes()
    (tmp_path / "recording").write_bytes(whole[: len(whole) * 6 // 10])
    result, _ = cut(tmp_path / "recording", tmp_path / "pieces")
    assert "breaks off" in result["notes"][0]


def test_fragments_from_the_middle_of_a_stream_begin_with_their_first_sound(tmp_path: Path) -> None:
    samples, truth = synthesise(30, rate=RATE)
    fragmented = Format("mp4", "aac", bit_rate=64_000, container_options={"movflags": FRAGMENTS})
    whole = encode(samples, RATE, fragmented, tmp_path / "whole").read_bytes()
    head, middle = whole.find(b"moof") - 4, whole.find(b"moof", len(whole) // 2) - 4
    (tmp_path / "recording").write_bytes(whole[:head] + whole[middle:])
    result, reports = cut(tmp_path / "recording", tmp_path / "pieces")
    first = transcribe(reports.pieces).segments[0].words[0]
    assert first.start < 2.0 < next(word.start for word in truth if word.word == first.word)
    assert not any("silence" in note for note in result["notes"])
