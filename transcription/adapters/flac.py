"""Pieces of sound as files: 16 kHz mono FLAC, whole or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from clustercore.nodes.domain.engine import EngineFailure
from transcription.adapters.opening import open_media
from transcription.domain.cut import Samples
from transcription.domain.sampling import SAMPLE_RATE


class FlacWriter:
    """Writes one FLAC file as samples come; the file gets its name only when it is complete and on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(path.name + ".part")
        self._file = self._partial.open("wb")
        self._container = av.open(self._file, mode="w", format="flac")
        stream = self._container.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._written = 0

    def append(self, samples: Samples) -> None:
        """Add samples. Raises EngineFailure `cannot_write`."""
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._written
        self._written += len(samples)
        with self._telling_why():
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Complete the file and give it its name. Raises EngineFailure `cannot_write`, and leaves nothing behind."""
        try:
            with self._telling_why():
                self._container.mux(self._stream.encode(None))
                self._container.close()
                self._file.flush()
                os.fsync(self._file.fileno())
        except EngineFailure:
            self.discard()
            raise
        self._file.close()
        self._partial.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        try:
            with suppress(av.FFmpegError, OSError):
                self._container.close()
        finally:
            with suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)

    @contextmanager
    def _telling_why(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            folder = self.path.parent
            free = shutil.disk_usage(folder).free // 1_000_000
            raise EngineFailure(
                "cannot_write",
                f"A piece cannot be written to {folder}, where {free} MB are free. Free some space there.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def write_flac(path: Path, samples: Samples) -> None:
    """Write 16 kHz mono samples as one FLAC file."""
    with FlacWriter(path) as writer:
        writer.append(samples)


def read_flac(path: Path) -> Samples:
    """All samples of a 16 kHz mono FLAC file, as they were written. Raises MediaError."""
    with open_media(path) as media:
        blocks = [frame.to_ndarray().reshape(-1) for frame in media.container.decode(media.stream)]
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.int16)
