"""Files that are not what they say: each ends with a clear reason, quickly, and nothing else is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic

import av
import numpy as np
import psutil
import pytest
from av.audio.frame import AudioFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clustercore.nodes.domain.engine import EngineFailure
from tests.fakes.transcription.engines.tones import synthesise
from tests.fakes.transcription.pipeline import cut, transcribe, worst_shift
from tests.fakes.transcription.recordings import FORMATS, Format, encode, show
from transcription.adapters.media import MediaCutter
from transcription.adapters.opening import MediaError


def refused(path: Path, code: str, maximum_seconds: float = 3600.0) -> str:
    """Assert that the cutter refuses the file with `code` and hands nothing over; the message."""
    with pytest.raises(MediaError) as caught:
        cut(path, path.parent / "pieces", maximum_seconds=maximum_seconds)
    assert caught.value.code == code
    assert list((path.parent / "pieces").glob("*.flac")) == []
    return caught.value.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"just some words\n" * 50, "not_media"),
        (b"<!DOCTYPE html><html><body onload=alert(1)></body></html>", "not_media"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "not_media"),
        (b"PK\x03\x04" + bytes(range(256)) * 20, "not_media"),
        (bytes(100_000), "not_media"),
        (b"\x00", "not_media"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_remedy(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "upload.mp3"
    path.write_bytes(content)
    assert "Send" in refused(path, code)


@pytest.fixture(scope="module")
def canary() -> Iterator[tuple[str, list[str]]]:
    """A web server's address, and every path asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>{target}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@pytest.fixture(scope="module")
def bait(canary: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[str]]:
    """Another user's recording, which can be read when opened by itself; and the canary's address and log."""
    directory = tmp_path_factory.mktemp("other")
    samples, _ = synthesise(5, rate=48_000)
    path = encode(samples, 48_000, Format("mpegts", "aac", bit_rate=64_000), directory / "secret.ts")
    _, reports = cut(path, directory / "pieces")
    assert transcribe(reports.pieces).text
    return path, *canary


@pytest.mark.parametrize("name", ["upload.mp3", "upload.m3u8", "upload.ffconcat", "upload.mpd", "upload"])
@pytest.mark.parametrize("playlist", sorted(PLAYLISTS))
@pytest.mark.parametrize("target", ["plain", "file", "subfile", "http"])
def test_a_playlist_never_opens_what_it_names(
    playlist: str, name: str, target: str, bait: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    secret, address, asked = bait
    named = {
        "plain": str(secret),
        "file": secret.as_uri(),
        "subfile": f"subfile,,start,0,end,0,,:{secret}",
        "http": f"{address}/secret.ts",
    }
    path = tmp_path / name
    path.write_text(PLAYLISTS[playlist].format(target=named[target]))
    refused(path, "not_media")
    assert asked == []


def test_a_name_that_looks_like_an_address_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, truth = synthesise(5)
    monkeypatch.chdir(tmp_path)
    path = encode(samples, 16_000, "flac", Path("concat:a|b"))
    _, reports = cut(path, tmp_path / "pieces")
    assert transcribe(reports.pieces).text == " ".join(word.word for word in truth)


@pytest.mark.parametrize("name", ["a\nb" + "x" * 252, "ü" * 127, "-i", "%d%s%n", "x.m3u8"])
def test_odd_names_do_not_matter(name: str, tmp_path: Path) -> None:
    samples, truth = synthesise(4)
    path = encode(samples, 16_000, "wav", tmp_path / name)
    _, reports = cut(path, tmp_path / "pieces")
    assert transcribe(reports.pieces).text == " ".join(word.word for word in truth)


def test_an_mp4_without_its_index_is_called_cut_off(tmp_path: Path) -> None:
    samples, _ = synthesise(30, rate=44_100)
    whole = encode(samples, 44_100, "m4a", tmp_path / "whole").read_bytes()
    (tmp_path / "upload").write_bytes(whole[: len(whole) // 2])
    assert "cut off" in refused(tmp_path / "upload", "truncated")


@pytest.mark.parametrize("kind", ["mp4-faststart", "wav", "flac", "mp3-constant", "ogg-opus", "mkv-aac"])
def test_of_a_recording_that_breaks_off_what_is_there_is_used(kind: str, tmp_path: Path) -> None:
    rate = FORMATS[kind].rates[-1]
    samples, truth = synthesise(60, rate=rate)
    whole = encode(samples, rate, kind, tmp_path / "whole").read_bytes()
    (tmp_path / "upload").write_bytes(whole[: len(whole) * 6 // 10])
    result, reports = cut(tmp_path / "upload", tmp_path / "pieces")
    heard = transcribe(reports.pieces).text.split()
    assert heard == [word.word for word in truth][: len(heard)]
    assert len(heard) > 25
    assert "breaks off" in result["notes"][0]


def test_a_film_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with path.open("wb") as file, av.open(file, "w", format="mp4") as container:
        picture = container.add_stream("mpeg4", rate=10)
        show(container, picture, 2.0)
    assert "no sound" in refused(path, "no_audio")


@pytest.fixture(scope="module")
def day_of_silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 hours in some megabytes of FLAC: one second's frames, repeated, under a header that says how many."""
    path = tmp_path_factory.mktemp("bomb") / "day.flac"
    silence = AudioFrame.from_ndarray(np.zeros((1, 65_535), np.int16), format="s16", layout="mono")
    silence.sample_rate = 16_000
    with path.open("wb") as file, av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono", options={"frame_size": "65535"})
        for number in range(24 * 3600 * 16_000 // 65_535):
            silence.pts = number * 65_535
            container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    return path


def test_a_day_of_silence_is_refused_before_it_is_decoded(day_of_silence: Path) -> None:
    process, began = psutil.Process(), monotonic()
    before = process.memory_info().rss
    assert "limit of 4 hours" in refused(day_of_silence, "audio_too_long", maximum_seconds=4 * 3600)
    assert monotonic() - began < 30
    assert process.memory_info().rss - before < 100_000_000


def test_a_length_that_no_header_tells_is_found_while_decoding(tmp_path: Path) -> None:
    samples, _ = synthesise(100)
    path = encode(samples, 16_000, Format("adts", "aac", bit_rate=48_000), tmp_path / "upload")
    with pytest.raises(MediaError) as caught:
        cut(path, tmp_path / "pieces", 5, 2, maximum_seconds=20)
    assert caught.value.code == "audio_too_long"
    assert len(list((tmp_path / "pieces").glob("*.flac"))) <= 4


def wav_claiming(path: Path, seconds: float, holding: int) -> Path:
    """A WAV file whose header claims `seconds` of sound and which holds `holding` seconds."""
    samples, _ = synthesise(holding * 2)
    data = (samples[0, : holding * 16_000] * 30_000).astype("<i2").tobytes()
    size = min(round(seconds * 32_000), 0xFFFFFFFF)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", size
    )
    path.write_bytes(head + data)
    return path


@pytest.mark.parametrize("seconds", [37 * 3600.0, 134_217.7])
def test_a_wav_header_that_claims_too_much_is_not_believed(seconds: float, tmp_path: Path) -> None:
    path = wav_claiming(tmp_path / "upload", seconds, holding=20)
    result, reports = cut(path, tmp_path / "pieces", maximum_seconds=3600)
    assert result["samples"] == 20 * 16_000
    assert len(transcribe(reports.pieces).text.split()) > 20


@pytest.mark.parametrize("count", [3, 12, 64, 100])
def test_of_channels_without_names_none_is_left_out(count: int, tmp_path: Path) -> None:
    samples, truth = synthesise(6)
    table = np.zeros((samples.shape[1], count), "<i2")
    table[:, 2] = samples[0] * 30_000
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + table.nbytes, b"WAVE", b"fmt ", 16, 1, count, 16_000,
                       32_000 * count, 2 * count, 16, b"data", table.nbytes)  # fmt: skip
    (tmp_path / "upload").write_bytes(head + table.tobytes())
    result, reports = cut(tmp_path / "upload", tmp_path / "pieces")
    assert result["channels"] == count
    assert worst_shift(transcribe(reports.pieces), truth) <= 0.02


def test_known_cuts_of_another_recording_are_refused(tmp_path: Path) -> None:
    samples, _ = synthesise(5)
    path = encode(samples, 16_000, "wav", tmp_path / "upload")
    with pytest.raises(MediaError, match="shorter now"):
        cut(path, tmp_path / "pieces", known=[(0, 10_000_000)])
    with pytest.raises(EngineFailure, match="without a gap"):
        cut(path, tmp_path / "pieces", known=[(0, 100), (200, 300)])


def test_a_request_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(EngineFailure) as caught:
        MediaCutter().run({"path": "x", "directory": "y", "piece_seconds": 0.1}, lambda *_: None)
    assert caught.value.code == "bad_request"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One short recording in each format."""
    directory = tmp_path_factory.mktemp("healthy")
    return {
        kind: encode(synthesise(6, rate=form.rates[-1])[0], form.rates[-1], kind, directory / kind).read_bytes()
        for kind, form in FORMATS.items()
    }


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(FORMATS)), seed=st.integers(0, 2**32), damage=st.sampled_from((1, 20, 400)))
def test_a_damaged_recording_is_used_or_refused_but_never_fells_the_cutter(
    kind: str, seed: int, damage: int, healthy: dict[str, bytes], tmp_path: Path
) -> None:
    random = np.random.default_rng(seed)
    content = np.frombuffer(healthy[kind], np.uint8).copy()
    content[random.integers(0, len(content), damage)] = random.integers(0, 256, damage)
    path = tmp_path / "upload"
    path.write_bytes(content.tobytes())
    try:
        result, reports = cut(path, tmp_path / "pieces", maximum_seconds=600)
    except MediaError as error:
        assert error.message
    else:
        assert reports.cuts[-1][1] == result["samples"] > 0
