"""From any codec, rate and layout to 16 kHz mono on a truthful clock, in blocks of about a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame

from transcription.adapters.clock import Clock
from transcription.adapters.levelling import Leveller, Loudness
from transcription.adapters.mixing import Mixer
from transcription.adapters.opening import (
    MediaError,
    OpenMedia,
    has_other_tracks,
    last_moment,
    origin_seconds,
    packets_of,
    too_long,
)
from transcription.adapters.surveying import Source, Tick
from transcription.domain.cut import Samples
from transcription.domain.sampling import SAMPLE_RATE

BLOCK = SAMPLE_RATE
MISSING_SECONDS = 0.25
"""Headers err by some bytes: they count padding, or tags that somebody took out."""
Stamped = tuple[AudioFrame, int | None]
"""A frame and the byte at which its packet begins."""


@dataclass(slots=True)
class Health:
    """What went wrong on the way, counted."""

    frames: int = 0
    broken_packets: int = 0
    filled_seconds: float = 0.0
    unbelieved_seconds: float = 0.0
    inverted_seconds: float = 0.0
    broke_off: bool = False
    promised_seconds: float | None = None
    """How long the recording was when it was whole, where it broke off and that is known."""
    loudness: Loudness = field(default_factory=Loudness)


@dataclass(slots=True)
class Decoder:
    """Decodes one file once. `health` tells afterwards what was mended, `description` what the file is."""

    source: Source
    maximum_seconds: float
    tick: Tick
    """Called while the recording is worked at without sound coming of it."""
    health: Health = field(default_factory=Health)
    description: dict[str, Any] = field(default_factory=dict)
    fraction: float = 0.0
    """How far into the file reading has come, 0 to 1."""
    _produced: int = 0
    _failed: bool = False
    """Whether reading the recording that is open ended with an error."""
    _leveller: Leveller = field(default_factory=Leveller)

    def blocks(self) -> Iterator[Samples]:
        """Mono samples at 16 kHz, in order, in blocks of about a second. Raises MediaError."""
        self.health.loudness = self._leveller.loudness
        gathered: list[Samples] = []
        size = 0
        for samples in self._samples():
            gathered.append(samples)
            size += len(samples)
            if size >= BLOCK:
                yield np.concatenate(gathered)
                gathered, size = [], 0
        if gathered:
            yield np.concatenate(gathered)
        self._judge()

    def _judge(self) -> None:
        if not self._produced or self.health.broken_packets > max(8, self.health.frames):
            raise MediaError(
                "undecodable",
                "No sound could be decoded from this file: it is damaged or no recording. "
                "Play it to see whether it is whole, and send it again or converted to FLAC or MP3.",
            )

    def _samples(self) -> Iterator[Samples]:
        for span in self.source.spans:
            with self.source.open(span) as media:
                if media is not None:
                    yield from self._opened(media)
                elif span is self.source.spans[-1]:
                    self._end_early(0.0, span.promised_seconds)

    def _opened(self, media: OpenMedia) -> Iterator[Samples]:
        begun, self._failed = self._produced, False
        for samples in self._recording(media):
            self._count(len(samples))
            self.fraction = media.file.fraction
            yield samples
        self.description = self.description or media.description
        seconds, promised = (self._produced - begun) / SAMPLE_RATE, media.promised_seconds
        if self._failed or breaks_off(self.source, media, seconds, self.tick):
            self._end_early(seconds, promised if media.span is self.source.spans[-1] else None)

    def _count(self, samples: int) -> None:
        self._produced += samples
        if self._produced > self.maximum_seconds * SAMPLE_RATE * 1.01:
            raise too_long(self.maximum_seconds)

    def _end_early(self, seconds: float, promised: float | None) -> None:
        """A recording of the file breaks off after so many seconds; `promised` is how long it was to be."""
        self.health.broke_off = True
        if promised is not None and promised > seconds:
            self.health.promised_seconds = self._produced / SAMPLE_RATE - seconds + promised

    def _recording(self, media: OpenMedia) -> Iterator[Samples]:
        longest = self.maximum_seconds - self._produced / SAMPLE_RATE
        clock, mixer = Clock(origin_seconds(media), media.promised_end, longest), Mixer()
        for frame, position, moment in confirmed(self._frames(media)):
            gap = clock.gap_before(moment, frame.samples / frame.sample_rate, position)
            if gap:
                yield from map(self._leveller.take, mixer.drain())
                yield from self._silence(gap)
            yield from map(self._leveller.take, mixer.take(frame))
        yield from map(self._leveller.take, mixer.drain())
        self.health.unbelieved_seconds += clock.unbelieved_seconds
        self.health.inverted_seconds += mixer.inverted_samples / SAMPLE_RATE

    def _silence(self, seconds: float) -> Iterator[Samples]:
        self.health.filled_seconds += seconds
        left = round(seconds * SAMPLE_RATE)
        while left > 0:
            yield np.zeros(min(left, BLOCK), dtype=np.int16)
            left -= BLOCK

    def _frames(self, media: OpenMedia) -> Iterator[Stamped]:
        packets = packets_of(media)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, PermissionError):
                self._failed = True
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
            yield from ((frame, packet.pos) for frame in frames if isinstance(frame, AudioFrame) and frame.samples)


def confirmed(frames: Iterator[Stamped]) -> Iterator[tuple[AudioFrame, int | None, float | None]]:
    """Frames with their packets' places and the moments that can be believed.

    A time stamp that lies behind that of the next frame is a slip of one frame: it counts as absent.
    """
    for (frame, position), following in pairwise(chain(frames, [None])):  # type: ignore[misc]
        moment = frame.time
        after = None if following is None else following[0].time
        slipped = moment is not None and after is not None and after < moment
        yield frame, position, None if slipped else moment


def breaks_off(source: Source, media: OpenMedia, seconds: float, tick: Tick) -> bool:
    """Whether sound is missing at the end: less is there than promised, and nothing else goes on that long.

    Where the file itself says that bytes are missing, that counts unless they are none of the sound's.
    """
    promised = media.promised_seconds
    if promised is None:
        return media.span.is_cut
    if media.span.is_cut:
        return promised - seconds > MISSING_SECONDS
    tolerance = max(1.0, 0.02 * promised)
    if promised - seconds <= tolerance:
        return False
    if not has_other_tracks(media):
        return True
    enough = promised - tolerance
    return last_moment(source.path, media.span, enough, tick) < enough
