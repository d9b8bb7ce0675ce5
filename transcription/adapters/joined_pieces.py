"""The pieces of a recording as one WAV file that nobody ever wrote: decoded as they are asked for, range by range."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clustercore.blobs.domain.ranges import ByteRange
from transcription.adapters.opening import open_media
from transcription.domain.playing import wave_header
from transcription.domain.sampling import SAMPLE_RATE

BYTES_PER_SAMPLE = 2
HEADER_BYTES = 44
BLOCK_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class PieceFile:
    """Where a piece's FLAC file lies, and which samples of the recording it holds."""

    path: Path
    start_sample: int
    end_sample: int


class JoinedPieces:
    """The bytes of the WAV file, as `clustercore.blobs.views` sends bytes. Pieces follow on one another."""

    def __init__(self, pieces: Sequence[PieceFile]) -> None:
        self._pieces = pieces
        self._samples = pieces[-1].end_sample if pieces else 0
        self.size = HEADER_BYTES + self._samples * BYTES_PER_SAMPLE
        self._start, self._end = 0, self.size

    def limit(self, part: ByteRange) -> None:
        """Only these bytes."""
        self._start, self._end = part.start, part.end + 1

    async def __aiter__(self) -> AsyncIterator[bytes]:
        blocks = self.blocks()
        while block := await asyncio.to_thread(next, blocks, b""):
            yield block

    def close(self) -> None:
        """Files are open only while they are decoded."""

    def blocks(self) -> Iterator[bytes]:
        """The bytes asked for, in blocks of a quarter of a mebibyte. Raises MediaError, OSError."""
        waiting = bytearray()
        for part in self._parts():
            waiting += part
            if len(waiting) >= BLOCK_BYTES:
                yield bytes(waiting)
                waiting.clear()
        if waiting:
            yield bytes(waiting)

    def _parts(self) -> Iterator[bytes]:
        if self._start < HEADER_BYTES:
            yield wave_header(self._samples, SAMPLE_RATE)[self._start : self._end]
        for piece in self._pieces:
            first = HEADER_BYTES + piece.start_sample * BYTES_PER_SAMPLE
            after = HEADER_BYTES + piece.end_sample * BYTES_PER_SAMPLE
            if first < self._end and after > self._start:
                yield from _bytes_of(piece.path, max(self._start - first, 0), min(self._end, after) - first)


def _bytes_of(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The decoded bytes `start` to before `end` of one piece."""
    at = 0
    with open_media(path) as media:
        for frame in media.container.decode(media.stream):
            if at >= end:
                return
            after = at + frame.samples * BYTES_PER_SAMPLE
            if after > start:
                yield frame.to_ndarray().tobytes()[max(start - at, 0) : end - at]
            at = after
