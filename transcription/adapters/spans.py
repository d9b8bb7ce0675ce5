"""The recordings inside one file, read from its own structure: chained Ogg streams, WAV or FLAC files joined by bytes.

FFmpeg decodes the first of them only, and believes the size of a WAV file instead of its header.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

WAVE_HEADS = (b"RIFF", b"RF64", b"BW64")
TAGS = (b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN")
"""What programs for collections of music write behind a recording of any format."""
OGG_HEAD = 27
STREAMINFO_LENGTH = b"\0\0\x22"
SEARCH_BYTES = 1 << 20
FIRST_SEARCH_BYTES = 1 << 8
"""Where something is found again and again, little is read for each; where nothing is, ever more at once."""
MOST_SPANS = 10_000
"""Further ones are read as part of the last."""


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes of one recording inside a file, from `start` to before `end`."""

    start: int
    end: int
    is_cut: bool = False
    """Whether it says itself that bytes are missing at its end."""
    promised_seconds: float | None = None
    """How long it says it was when it was whole, where it is cut and that can be known."""
    length_ignored: bool = False
    """Whether sound goes on behind the end that its header names."""
    is_wave: bool = False
    is_fragmented: bool = False
    """Whether it is an MP4 in fragments: of a stream, say, whose clock began long before the first of them."""


def spans_of(path: Path, tick: Callable[[], None]) -> list[Span]:
    """The recordings in the file at `path`, in order; one for most formats. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        head = read_at(file, 0, 12)
        if head[:4] == b"OggS":
            return ogg_spans(file, size, tick)
        if head[:4] in WAVE_HEADS and head[8:12] == b"WAVE":
            return list(wave_spans(file, size, tick))
        if head[:4] == b"fLaC":
            return flac_spans(file, size, tick)
        return [only_span(file, size, head, tick)]


def only_span(file: io.BufferedReader, size: int, head: bytes, tick: Callable[[], None]) -> Span:
    """What a file of one recording says of itself."""
    if head[4:8] == b"ftyp":
        # What announces fragments stands in the index, which then stands at the beginning.
        return Span(0, size, is_fragmented=b"mvex" in read_at(file, 0, SEARCH_BYTES))
    if head[:4] == b"RIFF":
        return Span(0, size, is_cut=riff_end(file, size, tick) > size)
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return Span(0, size, is_cut=counted_end(file, head) > size)
    return Span(0, size)


def read_at(file: io.BufferedReader, position: int, count: int) -> bytes:
    """At most `count` bytes from `position` on."""
    file.seek(position)
    return file.read(count)


def is_unknown_size(length: int) -> bool:
    """Whether a size stands for "as much as there is", as programs that write a recording as it comes have to say.

    They write 0, nearly 2 GiB or nearly 4 GiB: the most that a signed or unsigned number holds, without the header.
    """
    return length == 0 or 0x7FFF0000 <= length <= 0x80000000 or length >= 0xFFFF0000


def riff_end(file: io.BufferedReader, size: int, tick: Callable[[], None]) -> int:
    """Where the last of the RIFF chunks of a large AVI file is to end; 0 if its size was never written."""
    position = 0
    while position + 8 <= size and read_at(file, position, 4) == b"RIFF":
        tick()
        length = int.from_bytes(file.read(4), "little")
        if is_unknown_size(length):
            return 0
        position += 8 + length + length % 2
    # Not every program pads the last chunk, or counts the padding.
    return position - 1


def counted_end(file: io.BufferedReader, head: bytes) -> int:
    """Where an MP3 file is to end by the count of bytes in its first frame; 0 without one.

    The count is behind the word `Xing` or `Info`: flags, frames (flag 1), bytes (flag 2), each of four bytes.
    """
    start = 0
    if len(head) < 10:
        return 0
    if head[:3] == b"ID3":
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    frame = read_at(file, start, 256)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    if at < 0 or not flags & 2:
        return 0
    counted = at + (12 if flags & 1 else 8)
    return start + int.from_bytes(frame[counted : counted + 4], "big")


def search(file: io.BufferedReader, position: int, pattern: bytes, tick: Callable[[], None]) -> int | None:
    """Where `pattern` comes next, from `position` on."""
    overlap, count = len(pattern) - 1, FIRST_SEARCH_BYTES
    while block := read_at(file, position, count):
        tick()
        found = block.find(pattern)
        if found >= 0:
            return position + found
        if len(block) <= overlap:
            return None
        position, count = position + len(block) - overlap, min(2 * count, SEARCH_BYTES)
    return None


def flac_spans(file: io.BufferedReader, size: int, tick: Callable[[], None]) -> list[Span]:
    """FLAC files one after another: each begins with its marker and a STREAMINFO block (RFC 9639, section 8)."""
    starts = [0]
    found = search(file, 4, b"fLaC", tick)
    while found is not None and len(starts) < MOST_SPANS:
        kind, *length = read_at(file, found + 4, 4).ljust(4, b"\xff")
        if kind & 127 == 0 and bytes(length) == STREAMINFO_LENGTH:
            starts.append(found)
        found = search(file, found + 4, b"fLaC", tick)
    return [Span(start, after) for start, after in pairwise([*starts, size])]


@dataclass(frozen=True, slots=True)
class OggPage:
    """Where a page lies, and whether it begins a logical stream."""

    start: int
    end: int
    begins: bool


def ogg_pages(file: io.BufferedReader, size: int, tick: Callable[[], None]) -> Iterator[OggPage]:
    """All pages (RFC 3533, section 6); damaged stretches are passed over. The last may end beyond the file."""
    position: int | None = 0
    while position is not None and position < size:
        tick()
        head = read_at(file, position, OGG_HEAD)
        if head[:5] != b"OggS\0":
            position = search(file, position + 1, b"OggS\0", tick)
            continue
        table = file.read(head[26]) if len(head) == OGG_HEAD else b""
        whole = len(head) == OGG_HEAD and len(table) == head[26]
        end = position + OGG_HEAD + len(table) + sum(table) if whole else size + 1
        yield OggPage(position, end, len(head) > 5 and bool(head[5] & 2))
        position = end


def ogg_spans(file: io.BufferedReader, size: int, tick: Callable[[], None]) -> list[Span]:
    """The links of a chain: each begins with the first pages of its logical streams (RFC 3533, section 4)."""
    starts, in_head, end = [0], True, 0
    for page in ogg_pages(file, size, tick):
        if page.begins and not in_head and len(starts) < MOST_SPANS:
            starts.append(page.start)
        in_head, end = page.begins, page.end
    spans = [Span(start, after) for start, after in pairwise([*starts, size])]
    spans[-1] = Span(spans[-1].start, size, is_cut=end > size)
    return spans


@dataclass(frozen=True, slots=True)
class WaveLayout:
    """What the chunks of one WAV file say: where its sound lies, how much it is to be (None: unknown)."""

    data_start: int
    data_size: int | None
    bytes_per_second: int

    @property
    def data_end(self) -> int | None:
        """Where the sound ends by the header."""
        return None if self.data_size is None else self.data_start + self.data_size


def wave_layout(file: io.BufferedReader, start: int, size: int, tick: Callable[[], None]) -> WaveLayout | None:
    """The layout of the WAV file that begins at `start`; None without a chunk of sound."""
    position, rate, long_size = start + 12, 0, 0
    while position + 8 <= size:
        tick()
        name, length = read_chunk_head(file, position)
        if not is_chunk_name(name):
            return None
        if name == b"ds64":
            long_size = int.from_bytes(read_at(file, position + 16, 8), "little")
        elif name == b"fmt ":
            rate = int.from_bytes(read_at(file, position + 16, 4), "little")
        elif name == b"data":
            known = long_size if is_unknown_size(length) and long_size else length
            unknown = known == 0 or (known == length and is_unknown_size(length) and position + 8 + length > size)
            return WaveLayout(position + 8, None if unknown else known, rate)
        position += 8 + length + length % 2
    return None


def read_chunk_head(file: io.BufferedReader, position: int) -> tuple[bytes, int]:
    """The name and the length of the chunk at `position`."""
    head = read_at(file, position, 8)
    return head[:4], int.from_bytes(head[4:8], "little")


def wave_spans(file: io.BufferedReader, size: int, tick: Callable[[], None]) -> Iterator[Span]:
    """WAV files that lie one after another, and how the last of them ends."""
    start = 0
    for number in range(MOST_SPANS):
        layout = wave_layout(file, start, size, tick)
        following = None if layout is None else following_wave(file, layout, size, tick)
        if layout is None or following is None or number == MOST_SPANS - 1:
            yield last_wave_span(file, start, size, layout)
            return
        yield Span(start, following, is_wave=True)
        start = following


def following_wave(file: io.BufferedReader, layout: WaveLayout, size: int, tick: Callable[[], None]) -> int | None:
    """Where the next WAV file begins, behind the sound of this one and the chunks that follow it."""
    if layout.data_end is None:
        return searched_wave(file, layout.data_start, tick)
    position: int | None = layout.data_end
    while position is not None and position + 12 <= size:
        tick()
        if is_wave_head(file, position):
            return position
        position = after_chunk(file, position, size)
    return None


def searched_wave(file: io.BufferedReader, position: int, tick: Callable[[], None]) -> int | None:
    """Where the head of a WAV file comes next, for want of a length."""
    found = search(file, position, b"WAVEfmt ", tick)
    while found is not None and not (found - 8 >= position and is_wave_head(file, found - 8)):
        found = search(file, found + 1, b"WAVEfmt ", tick)
    return None if found is None else found - 8


def is_wave_head(file: io.BufferedReader, position: int) -> bool:
    """Whether a WAV file begins at `position`."""
    head = read_at(file, position, 12)
    return head[:4] in WAVE_HEADS and head[8:12] == b"WAVE"


def after_chunk(file: io.BufferedReader, position: int, size: int) -> int | None:
    """Where the chunk ends that begins at `position`, or behind the byte that pads the one before; None if none does.

    Not every program pads a chunk of odd length, so both places are tried.
    """
    for start in (position, position + 1):
        if is_wave_head(file, start):
            return start
        name, length = read_chunk_head(file, start)
        if len(name) == 4 and is_chunk_name(name) and start + 8 + length <= size:
            return start + 8 + length
    return None


def is_chunk_name(name: bytes) -> bool:
    """Whether the bytes can name a chunk: four printable characters, of which the first is no space."""
    return all(32 <= byte < 127 for byte in name) and name[:1] != b" "


def last_wave_span(file: io.BufferedReader, start: int, size: int, layout: WaveLayout | None) -> Span:
    """The WAV file that the file ends with: cut if its sound is, longer than it says if more sound follows."""
    if layout is None or layout.data_end is None or layout.data_size is None:
        return Span(start, size, is_wave=True)
    if layout.data_end > size:
        whole = layout.data_size / layout.bytes_per_second if layout.bytes_per_second else None
        return Span(start, size, is_cut=True, promised_seconds=whole, is_wave=True)
    left = size - layout.data_end
    goes_on = left > max(layout.bytes_per_second, 1) and not is_foreign(file, layout.data_end, size)
    return Span(start, size, length_ignored=goes_on, is_wave=True)


def is_foreign(file: io.BufferedReader, position: int, size: int) -> bool:
    """Whether a chunk or a tag begins where the sound ends by the header, or behind a byte that pads it."""
    following = read_at(file, position, 12)
    return any(following.startswith(TAGS, at) for at in (0, 1)) or after_chunk(file, position, size) is not None
