"""Makes recordings in the formats that people send, from samples whose words are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tests.fakes.transcription.engines.tones import LAYOUTS, Signal


@dataclass(frozen=True, slots=True)
class Format:
    """A container and a codec, and what they can carry."""

    container: str
    codec: str
    rates: tuple[int, ...] = (8_000, 16_000, 22_050, 44_100, 48_000)
    bit_rate: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    picture: bool = False


OPUS_RATES = (48_000,)
FORMATS: dict[str, Format] = {
    "wav": Format("wav", "pcm_s16le"),
    "wav-float": Format("wav", "pcm_f32le"),
    "aiff": Format("aiff", "pcm_s16be"),
    "flac": Format("flac", "flac"),
    "mp3-constant": Format("mp3", "libmp3lame", (16_000, 22_050, 44_100, 48_000), 64_000),
    "mp3-variable": Format("mp3", "libmp3lame", (16_000, 22_050, 44_100, 48_000), None, {"q": "5"}),
    "m4a": Format("ipod", "aac", bit_rate=64_000),
    "m4a-lossless": Format("ipod", "alac"),
    "mp4-faststart": Format("mp4", "aac", bit_rate=64_000, container_options={"movflags": "faststart"}),
    "mp4-video": Format("mp4", "aac", bit_rate=64_000, picture=True),
    "mkv-aac": Format("matroska", "aac", bit_rate=64_000),
    "mkv-video": Format("matroska", "libopus", OPUS_RATES, 32_000, picture=True),
    "ogg-opus": Format("ogg", "libopus", OPUS_RATES, 32_000),
    "ogg-flac": Format("ogg", "flac"),
    "webm-opus": Format("webm", "libopus", OPUS_RATES, 32_000),
}


def encode(
    samples: Signal,
    rate: int,
    kind: str | Format,
    path: Path,
    *,
    delay_seconds: float = 0.0,
    gap: tuple[int, float] | None = None,
    picture_seconds: float | None = None,
) -> Path:
    """Write samples of shape (channels, length) as a recording.

    Its sound begins `delay_seconds` after its picture, which by default ends with the sound; from the sample `gap[0]`
    on, the time stamps are `gap[1]` seconds late.
    """
    form = FORMATS[kind] if isinstance(kind, str) else kind
    with (
        path.open("wb") as file,
        av.open(file, "w", format=form.container, options=form.container_options) as container,
    ):
        picture = (
            container.add_stream("mpeg4" if form.container == "mp4" else "libx264", rate=10) if form.picture else None
        )
        sound = container.add_stream(form.codec, rate=rate, layout=LAYOUTS[len(samples)], options=form.options)
        assert isinstance(sound, AudioStream)
        if form.bit_rate:
            sound.bit_rate = form.bit_rate * len(samples)
        if isinstance(picture, VideoStream):
            show(container, picture, picture_seconds or samples.shape[1] / rate + delay_seconds)
        play(container, sound, samples, stamps(samples, rate, delay_seconds, gap))
    return path


def show(container: av.container.OutputContainer, stream: VideoStream, seconds: float) -> None:
    """A small grey picture for so long."""
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for index in range(max(1, round(seconds * 10))):
        frame = VideoFrame(64, 64, "yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, 10)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def stamps(samples: Signal, rate: int, delay_seconds: float, gap: tuple[int, float] | None) -> list[int]:
    """The time stamp of each block of a tenth of a second, in samples."""
    first = round(delay_seconds * rate)
    late = round(gap[1] * rate) if gap else 0
    return [first + at + (late if gap and at >= gap[0] else 0) for at in range(0, samples.shape[1], rate // 10)]


def play(container: av.container.OutputContainer, stream: AudioStream, samples: Signal, moments: list[int]) -> None:
    """Encode the samples in blocks of a tenth of a second, stamped with `moments`."""
    rate = stream.rate
    for number, moment in enumerate(moments):
        part = np.ascontiguousarray(samples[:, number * (rate // 10) : (number + 1) * (rate // 10)])
        frame = AudioFrame.from_ndarray(part, format="fltp", layout=LAYOUTS[len(samples)])
        frame.sample_rate, frame.pts, frame.time_base = rate, moment, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
