"""What is heard of a file: which recordings it holds, which of their audio tracks, and whether it is too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame

from transcription.adapters.mixing import channels_of
from transcription.adapters.opening import MediaError, OpenMedia, open_media, packets_of, too_long
from transcription.adapters.spans import Span, spans_of
from transcription.adapters.tracks import Track, by_preference

SILENT = 10 ** (-70 / 20)
"""A track that is never louder than this, 1 being full scale, is silent."""
ADDED_UP = 1.01
"""A header's duration counts as over the limit only beyond this share of it: codecs round up to whole frames."""
MOST_LISTENED = 8
"""How many tracks are looked through for sound: each is a pass over the file."""
MOST_OPENED = 100
"""Of more recordings in one file nobody adds up beforehand how long they are."""

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A file and what is heard of it. `track` counts from 1; `silent` are the tracks found to be without sound."""

    path: Path
    spans: tuple[Span, ...]
    track: int | None = None
    tracks: tuple[Track, ...] = ()
    silent: frozenset[int] = frozenset()

    @contextmanager
    def open(self, span: Span) -> Iterator[OpenMedia | None]:
        """The recording in `span`; None for a later one that cannot be opened or has no sound. Raises MediaError."""
        with ExitStack() as stack:
            try:
                media = self._entered(stack, span)
            except MediaError:
                if span is self.spans[0]:
                    raise
                media = None
            yield media

    def _entered(self, stack: ExitStack, span: Span) -> OpenMedia:
        """One of a chain may lack the track, and is then heard as a player would."""
        try:
            return stack.enter_context(open_media(self.path, span, self.track))
        except MediaError as error:
            if error.code != "no_such_track":
                raise
        return stack.enter_context(open_media(self.path, span))


def survey(path: Path, wanted: int | None, tick: Tick) -> Source:
    """Find out what is to be heard; `wanted` is the track that somebody asked for. Raises MediaError, OSError."""
    spans = tuple(spans_of(path, tick)) or (Span(0, 0),)
    with open_media(path, spans[0], wanted) as media:
        tracks, chosen = media.tracks, media.track.number
    if wanted is not None or len(tracks) == 1:
        return Source(path, spans, chosen, tracks)
    silent: set[int] = set()
    for track in by_preference(list(tracks))[:MOST_LISTENED]:
        if has_sound(path, spans[0], track.number, tick):
            return Source(path, spans, track.number, tracks, frozenset(silent))
        silent.add(track.number)
    return Source(path, spans, chosen, tracks, frozenset(silent))


def has_sound(path: Path, span: Span, track: int, tick: Tick) -> bool:
    """Whether anything on a track is louder than silence; decoded no further than to where it is."""
    with open_media(path, span, track) as media:
        for frame in decoded(media, tick):
            try:
                if np.abs(channels_of(frame)).max(initial=0.0) > SILENT:
                    return True
            except (av.FFmpegError, ValueError):
                continue
    return False


def decoded(media: OpenMedia, tick: Tick) -> Iterator[AudioFrame]:
    """The frames of the track as far as they can be decoded."""
    packets = packets_of(media)
    while True:
        tick()
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from (frame for frame in packet.decode() if isinstance(frame, AudioFrame) and frame.samples)
        except av.InvalidDataError:
            continue
        except (av.FFmpegError, PermissionError):
            return


def declared_seconds(source: Source) -> float | None:
    """What the headers say of all recordings of the file together. Raises MediaError."""
    if len(source.spans) > MOST_OPENED:
        return None
    total = 0.0
    for span in source.spans:
        with source.open(span) as media:
            if media is None:
                continue
            if media.whole_seconds is None:
                return None
            total += media.whole_seconds
    return total


def refuse_if_too_long(source: Source, declared: float | None, maximum_seconds: float, tick: Tick) -> None:
    """Raise MediaError `audio_too_long` before anything is decoded.

    A header's duration may be a lie or an estimate, so one over the limit is checked by adding up the packets, which is
    cheap and stops at the limit.
    """
    limit = maximum_seconds * ADDED_UP
    if declared is None or declared <= limit:
        return
    counted = 0.0
    for span in source.spans:
        with source.open(span) as media:
            seconds = 0.0 if media is None else packet_seconds(media, limit - counted, tick)
        if seconds is None:
            raise too_long(maximum_seconds)
        counted += seconds
        if counted > limit:
            raise too_long(maximum_seconds)


def packet_seconds(media: OpenMedia, limit: float, tick: Tick) -> float | None:
    """Seconds in the packets of the audio stream, counted up to just over `limit`; None if they do not say."""
    total = 0.0
    try:
        for packet in packets_of(media):
            tick()
            if packet.size and not packet.duration:
                return None
            total += float((packet.duration or 0) * packet.time_base)
            if total > limit:
                break
    except av.FFmpegError:
        return total
    return total
