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
from av.stream import Discard

from clustercore.nodes.domain.engine import EngineFailure

FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
)
"""FFmpeg's demuxers that read one file and nothing else: no playlists, no manifests, no devices, no pictures."""

RAW_FORMATS = frozenset({"aac", "ac3", "eac3", "amr", "amrnb", "amrwb"})
RIFF_UNKNOWN = 0x7FFF0000
"""Programs that write WAV as it comes put such a size into the header: it stands for "as much as there is"."""

PASSED_OVER = 100_000
"""How many packets of streams that the header does not name are tolerated."""

ADDED_UP = 1.01
"""A header's duration counts as over the limit only beyond this share of it: codecs round up to whole frames."""


class MediaError(EngineFailure):
    """The file cannot be transcribed, and no other machine could: the fault is in the file."""


class NamelessFile:
    """An open file of which FFmpeg sees the bytes and neither name nor folder."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`."""
        return self._file.read(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place in the file; -1 if there is no such place, as damaged files ask for."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, OverflowError, ValueError):
            return -1

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell()

    @property
    def fraction(self) -> float:
        """How far into the file reading has come, 0 to 1."""
        return min(1.0, self.tell() / self.size) if self.size else 1.0


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """An opened recording and its audio stream."""

    file: NamelessFile
    container: InputContainer
    stream: AudioStream
    head: bytes = b""
    """The first bytes of the file."""

    @property
    def declared_seconds(self) -> float | None:
        """What the header says, which may be wrong, absent or an estimate."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            return float(self.stream.duration * self.stream.time_base)
        if self.container.duration is not None:
            return float(self.container.duration) / 1_000_000
        return None

    @property
    def is_estimate(self) -> bool:
        """Whether FFmpeg only reckoned the duration from the bit rate, for want of a header that tells it."""
        name = self.container.format.name
        return name in RAW_FORMATS or (name == "mp3" and not self.stream.start_time)

    @property
    def promised_by_riff(self) -> float | None:
        """Seconds that a WAV file's header promises; None for other files and for headers written before the sound.

        FFmpeg believes the size of the file instead, and so never says that a WAV file was cut off.
        """
        rate = self.stream.codec_context.bit_rate
        size = int.from_bytes(self.head[4:8], "little")
        if self.head[:4] != b"RIFF" or not rate or size >= RIFF_UNKNOWN:
            return None
        return size * 8 / rate

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
def open_media(path: Path) -> Iterator[OpenMedia]:
    """Open the recording at `path` for decoding. Raises MediaError when it is none, and says what to do."""
    with path.open("rb") as opened:
        file = NamelessFile(opened)
        if not file.size:
            raise MediaError("empty_file", "The file is empty. Send it again; the upload may have been interrupted.")
        head = file.read(12)
        file.seek(0)
        with open_container(file) as container:
            yield OpenMedia(file, container, audio_stream(container), head)


def open_container(file: NamelessFile) -> InputContainer:
    """The container in `file`. Raises MediaError `not_media` or `truncated`."""
    try:
        return av.open(
            file,
            mode="r",
            options={"format_whitelist": FORMATS, "protocol_whitelist": "pipe"},
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


def audio_stream(container: InputContainer) -> AudioStream:
    """The stream that a player would play; the others are not read. Raises MediaError `no_audio`, `undecodable`."""
    stream = container.streams.best("audio")
    if stream is None:
        raise MediaError("no_audio", "There is no sound in this file. Send one with an audio track.")
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        raise MediaError("undecodable", "The sound is in a format that cannot be decoded. Convert it to FLAC or MP3.")
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return stream


def refuse_if_too_long(path: Path, maximum_seconds: float, tick: Callable[[], None]) -> None:
    """Raise MediaError `audio_too_long` before anything is decoded.

    A header's duration may be a lie or an estimate, so one over the limit is checked by adding up the packets, which is
    cheap and stops at the limit.
    """
    with open_media(path) as media:
        declared = media.declared_seconds
        if declared is None or declared <= maximum_seconds * ADDED_UP:
            return
        counted = packet_seconds(media, maximum_seconds * ADDED_UP, tick)
    if counted is None or counted > maximum_seconds * ADDED_UP:
        raise too_long(maximum_seconds)


def packet_seconds(media: OpenMedia, limit: float, tick: Callable[[], None]) -> float | None:
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
