"""From any codec, rate and layout to 16 kHz mono on a truthful clock, in blocks of about a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import numpy as np
from av.audio.frame import AudioFrame

from transcription.adapters.mixing import Mixer
from transcription.adapters.opening import MediaError, OpenMedia, packets_of, too_long
from transcription.domain.cut import SAMPLE_RATE, Samples

BLOCK = SAMPLE_RATE
GAP_SECONDS = 0.1
"""A jump of the time stamps is a real gap from here on; less is jitter."""
LONGEST_GAP_SECONDS = 600.0
"""A longer jump is a broken clock, not a pause: nothing is filled in."""


@dataclass(slots=True)
class Health:
    """What went wrong on the way, counted."""

    frames: int = 0
    broken_packets: int = 0
    filled_seconds: float = 0.0
    broke_off: bool = False


@dataclass(slots=True)
class Clock:
    """Where the next sample belongs, by the source's time stamps; jitter is ignored, gaps are told."""

    origin: float | None
    anchor: float | None = None
    seconds_since: float = 0.0

    def gap_before(self, frame: AudioFrame) -> float:
        """Seconds of silence missing before `frame` (0 when it follows on). Counts the frame as taken."""
        moment = frame.time
        gap = 0.0
        if moment is not None:
            gap = moment - self._expected(moment)
            if self.anchor is None or abs(gap) >= GAP_SECONDS:
                self.anchor, self.seconds_since = moment, 0.0
        self.seconds_since += frame.samples / frame.sample_rate
        return gap if GAP_SECONDS <= gap <= LONGEST_GAP_SECONDS else 0.0

    def _expected(self, moment: float) -> float:
        if self.anchor is not None:
            return self.anchor + self.seconds_since
        return moment if self.origin is None else min(self.origin, moment)


@dataclass(slots=True)
class Decoder:
    """Decodes one recording once. `health` tells afterwards what was mended."""

    media: OpenMedia
    maximum_seconds: float
    health: Health = field(default_factory=Health)
    _produced: int = 0

    def blocks(self) -> Iterator[Samples]:
        """Mono samples at 16 kHz, in order, in blocks of about a second. Raises MediaError."""
        gathered: list[Samples] = []
        size = 0
        for samples in self._samples():
            self._count(len(samples))
            gathered.append(samples)
            size += len(samples)
            if size >= BLOCK:
                yield np.concatenate(gathered)
                gathered, size = [], 0
        if gathered:
            yield np.concatenate(gathered)
        self._judge()

    def _count(self, samples: int) -> None:
        self._produced += samples
        if self._produced > self.maximum_seconds * SAMPLE_RATE * 1.01:
            raise too_long(self.maximum_seconds)

    def _judge(self) -> None:
        if not self._produced or self.health.broken_packets > max(8, self.health.frames):
            raise MediaError(
                "undecodable",
                "No sound could be decoded from this file: it is damaged or no recording. "
                "Play it to see whether it is whole, and send it again or converted to FLAC or MP3.",
            )

    def _samples(self) -> Iterator[Samples]:
        clock, mixer = Clock(origin_seconds(self.media)), Mixer()
        for frame in self._frames():
            gap = clock.gap_before(frame)
            if gap:
                yield from mixer.drain()
                yield from self._silence(gap)
            yield from mixer.take(frame)
        yield from mixer.drain()

    def _silence(self, seconds: float) -> Iterator[Samples]:
        self.health.filled_seconds += seconds
        left = round(seconds * SAMPLE_RATE)
        while left > 0:
            yield np.zeros(min(left, BLOCK), dtype=np.int16)
            left -= BLOCK

    def _frames(self) -> Iterator[AudioFrame]:
        packets = packets_of(self.media)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, PermissionError):
                self.health.broke_off = True
                packet = None
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.EOFError:
                continue
            except av.FFmpegError:
                self.health.broken_packets += 1
                continue
            self.health.frames += len(frames)
            yield from (frame for frame in frames if isinstance(frame, AudioFrame) and frame.samples)


def origin_seconds(media: OpenMedia) -> float | None:
    """The moment a player calls 0:00, on the clock of the time stamps; None: that of the first sound."""
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in media.container.streams.video
        if stream.start_time is not None and stream.time_base is not None and not is_cover(stream)
    ]
    if starts:
        return min(starts)
    return 0.0 if "mov" in media.container.format.name else None


def is_cover(stream: av.stream.Stream) -> bool:
    """Whether a video stream is only the picture on the record's sleeve."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
