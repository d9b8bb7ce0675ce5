"""Opening media that strangers sent: by content, never by name, and no other file is ever read through it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from clustercore.nodes.domain.engine import EngineFailure
from transcription.adapters.spans import Span
from transcription.adapters.tracks import Track, audio_streams, by_preference, listed, tracks_of

FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
)
"""FFmpeg's demuxers that read one file and nothing else: no playlists, no manifests, no devices, no pictures."""

RAW_FORMATS = frozenset({"aac", "ac3", "eac3", "amr", "amrnb", "amrwb"})
SHARED_CLOCK_FORMATS = frozenset({"matroska", "flv", "asf", "avi"})
"""Their headers say how long the whole recording is, picture and all, and not how long its sound is."""
COUNTED_FORMATS = frozenset({"mov"})
"""Their headers say how long each track is, and where it lies on the common clock."""
STAMPED_FORMATS = frozenset({"mpeg", "mpegts", "ogg"})
"""Without a length in any header: FFmpeg takes the last time stamp for it."""
LOOK_FURTHER = {"probesize": str(64 << 20), "analyzeduration": str(3600 * 1_000_000)}
"""How far FFmpeg looks for sound where it found none at the beginning: a track may begin late."""

WAVE_PACKET_BYTES = 1 << 16
WAVE_LOOK_BYTES = 1 << 18
PASSED_OVER = 100_000
"""How many packets of streams that the header does not name are tolerated."""


class MediaError(EngineFailure):
    """The file cannot be transcribed, and no other machine could: the fault is in the file."""


class NamelessFile:
    """An open file of which FFmpeg sees the bytes and neither name nor folder."""

    def __init__(self, file: io.BufferedReader, span: Span | None = None) -> None:
        """Of the bytes of `span` nothing outside them is seen."""
        self._file = file
        self._whole = os.fstat(file.fileno()).st_size
        self._start = span.start if span else 0
        self.size = (span.end if span else self._whole) - self._start
        file.seek(self._start)

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`."""
        return self._file.read(max(0, min(count, self.size - self.tell())))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place in the file; -1 if there is no such place, as damaged files ask for."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}.get(whence, -1)
        try:
            if base < 0 or base + offset < 0:
                return -1
            return self._file.seek(self._start + base + offset) - self._start
        except (OSError, OverflowError, ValueError):
            return -1

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell() - self._start

    @property
    def fraction(self) -> float:
        """How far into the whole file reading has come, 0 to 1."""
        return min(1.0, self._file.tell() / self._whole) if self._whole else 1.0


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """An opened recording and the audio stream that is heard."""

    file: NamelessFile
    container: InputContainer
    stream: AudioStream
    span: Span
    track: Track
    tracks: tuple[Track, ...]

    @property
    def format(self) -> str:
        """The first name of the container's format."""
        return self.container.format.name.split(",")[0]

    @property
    def declared_seconds(self) -> float | None:
        """What the header says of the sound, which may be wrong, absent or an estimate."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            return float(self.stream.duration * self.stream.time_base)
        if self.container.duration is not None:
            return float(self.container.duration) / 1_000_000
        return None

    @property
    def whole_seconds(self) -> float | None:
        """What the header says of the whole recording: sound that begins late ends late."""
        whole = None if self.container.duration is None else self.container.duration / 1_000_000
        return max((one for one in (self.declared_seconds, whole) if one is not None), default=None)

    @property
    def promised_end(self) -> float | None:
        """The moment, on the clock of the time stamps, at which the header says that the recording ends."""
        if self.format not in SHARED_CLOCK_FORMATS | COUNTED_FORMATS or self.container.duration is None:
            return None
        return (max(0, self.container.start_time or 0) + self.container.duration) / 1_000_000

    @property
    def promised_seconds(self) -> float | None:
        """The length that the sound had when the recording was whole, if its header tells that.

        FFmpeg believes the size of a WAV file instead of its header, and the last time stamp of a format without one.
        """
        if self.span.is_wave:
            return self.span.promised_seconds
        if self.format in RAW_FORMATS | STAMPED_FORMATS or (self.format == "mp3" and not self.span.is_cut):
            return None
        return self.declared_seconds

    @property
    def description(self) -> dict[str, Any]:
        """Container, codec, sample rate (Hz) and channels as they came."""
        context = self.stream.codec_context
        return {
            "container": self.container.format.name,
            "codec": context.name,
            "sample_rate": context.sample_rate,
            "channels": context.layout.nb_channels,
        }


def refuse_to_open(url: str, _flags: int, _options: Mapping[str, str]) -> NoReturn:
    """A recording that names another file or address is refused."""
    raise PermissionError(f"The recording asks for another file: {url[:200]!r}")


@contextmanager
def open_media(path: Path, span: Span | None = None, track: int | None = None) -> Iterator[OpenMedia]:
    """Open the recording at `path`, or the one in `span` of it, for decoding its audio track `track`, from 1.

    Without a number it is the track that a player would play. Raises MediaError when there is none, and says what to
    do.
    """
    with path.open("rb") as opened:
        file = NamelessFile(opened, span)
        if not file.size:
            raise MediaError("empty_file", "The file is empty. Send it again; the upload may have been interrupted.")
        with container_with_sound(file, span) as container:
            tracks = tracks_of(container)
            chosen = wanted_track(tracks, track)
            stream = only_stream(container, chosen)
            yield OpenMedia(file, container, stream, span or Span(0, file.size), chosen, tuple(tracks))


@contextmanager
def container_with_sound(file: NamelessFile, span: Span | None) -> Iterator[InputContainer]:
    """The container in `file`; looked through further if no sound is near its beginning."""
    options = wave_options(span) if span is not None and span.is_wave else {}
    with open_container(file, options) as container:
        if audio_streams(container):
            yield container
            return
    file.seek(0)
    with open_container(file, options | LOOK_FURTHER) as container:
        yield container


def wave_options(span: Span) -> dict[str, str]:
    """How FFmpeg is to read a WAV file: it would make a packet of every 4 KiB, and look at forty before it begins."""
    options = {"max_size": str(WAVE_PACKET_BYTES), "probesize": str(WAVE_LOOK_BYTES)}
    return options | ({"ignore_length": "1"} if span.length_ignored else {})


def wanted_track(tracks: list[Track], number: int | None) -> Track:
    """The track of that number, or the one a player would play. Raises MediaError `no_such_track`, `no_audio`."""
    if not tracks:
        raise MediaError("no_audio", "There is no sound in this file. Send one with an audio track.")
    if number is None:
        return by_preference(tracks)[0]
    if not 1 <= number <= len(tracks):
        there = f"it has {len(tracks)}: {listed(tracks)}" if len(tracks) > 1 else "it has one"
        raise MediaError("no_such_track", f"There is no audio track {number} in this recording; {there}.")
    return tracks[number - 1]


def only_stream(container: InputContainer, track: Track) -> AudioStream:
    """The stream of `track`; the others are not read."""
    stream = audio_streams(container)[track.number - 1]
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return stream


def open_container(file: NamelessFile, options: Mapping[str, str] | None = None) -> InputContainer:
    """The container in `file`. Raises MediaError `not_media` or `truncated`."""
    try:
        return av.open(
            file,
            mode="r",
            options={"format_whitelist": FORMATS, "protocol_whitelist": "pipe", **(options or {})},
            metadata_errors="replace",
            buffer_size=1 << 18,
            io_open=refuse_to_open,
        )
    except (av.FFmpegError, PermissionError, ValueError, OverflowError) as error:
        raise unreadable(file) from error


def unreadable(file: NamelessFile) -> MediaError:
    """Why FFmpeg could not open the file, judged by its first bytes."""
    file.seek(0)
    head = file.read(4096)
    if head[4:8] == b"ftyp":
        return MediaError(
            "truncated",
            "This is an MP4 or MOV file without its index, so it was cut off while being recorded or sent. "
            "Send the whole file again, or repair it first.",
        )
    kind = "text" if is_text(head) else "no audio or video format that is understood"
    return MediaError(
        "not_media",
        f"This is not a recording: it holds {kind}. "
        "Send audio or video, for example WAV, MP3, M4A, FLAC, OGG, MP4 or WebM.",
    )


def is_text(head: bytes) -> bool:
    """Whether the bytes read as text (a page, a playlist, a document)."""
    return bool(head) and not any(byte < 9 or 13 < byte < 32 for byte in head)


def packets_of(media: OpenMedia) -> Iterator[Packet[AudioStream]]:
    """The packets of the audio stream. Raises av.FFmpegError where the file breaks off.

    PyAV raises IndexError at each packet of a stream that appears only in the middle of the file; such are passed over.
    """
    for _ in range(PASSED_OVER):
        try:
            yield from media.container.demux(media.stream)
        except IndexError:
            continue
        return


def too_long(maximum_seconds: float) -> MediaError:
    """The refusal of a recording over the limit."""
    return MediaError(
        "audio_too_long",
        f"The recording is longer than the limit of {maximum_seconds / 3600:g} hours. "
        "Split it, or raise the limit in the settings.",
    )


def origin_seconds(media: OpenMedia) -> float | None:
    """The moment a player calls 0:00, on the clock of the time stamps; None: that of the first sound.

    That is where the first of the tracks begins, of which the sound may be a late one; in an MP4 it is 0, from
    which its edit lists count.
    """
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in [*media.container.streams.video, *media.container.streams.audio]
        if stream is not media.stream
        and stream.start_time is not None
        and stream.time_base is not None
        and not is_cover(stream)
    ]
    if media.format in COUNTED_FORMATS and not media.span.is_fragmented:
        return min([0.0, *starts])
    return min(starts, default=None)


def last_moment(path: Path, span: Span, enough: float, tick: Callable[[], None]) -> float:
    """Seconds from the first time stamp in the recording to the end of the last, of whatever tracks it has.

    Nothing is read beyond the moment that is `enough` seconds after the first.
    """
    first, last = float("inf"), 0.0
    with path.open("rb") as opened, open_container(NamelessFile(opened, span)) as container:
        try:
            for packet in container.demux():
                tick()
                if packet.pts is None or packet.time_base is None:
                    continue
                first = min(first, float(packet.pts * packet.time_base))
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if last - max(0.0, first) >= enough:
                    break
        except (av.FFmpegError, IndexError, PermissionError):
            pass
    return max(0.0, last - max(0.0, min(first, last)))


def has_other_tracks(media: OpenMedia) -> bool:
    """Whether the recording holds more than the sound that is heard, its cover not counted."""
    return any(stream is not media.stream and not is_cover(stream) for stream in media.container.streams)


def is_cover(stream: Stream) -> bool:
    """Whether a stream is only the picture on the record's sleeve."""
    return bool(stream.disposition & Disposition.attached_pic)
