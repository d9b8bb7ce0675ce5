"""Reading the pieces that the cutter wrote: 16 kHz mono FLAC in, 16-bit samples out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from clustercore.nodes.domain.engine import EngineFailure
from transcription.domain.sampling import SAMPLE_RATE

TOLERANCE_SECONDS = 0.1

Samples = NDArray[np.int16]


def read_samples(path: str | Path) -> Samples:
    """All samples of the file, mono, 16 kHz, signed 16 bit: 1.9 MB a minute.

    Raises EngineFailure `media_missing` or `media_unreadable`; whatever lies there is opened as FLAC and nothing else,
    because FFmpeg would follow a playlist to any other file of this machine.
    """
    file = Path(path)
    if not file.is_file():
        raise EngineFailure("media_missing", f"there is no audio file at {file}; fetch the piece again")
    try:
        samples, promised_seconds = _decoded(file)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise _unreadable(file, str(error)) from error
    # FFmpeg takes a text for FLAC without a single sample, and a broken file for a shorter one.
    if not len(samples) or seconds_of(samples) < promised_seconds - TOLERANCE_SECONDS:
        raise _unreadable(file, f"{seconds_of(samples)} s of {promised_seconds:.3f} s could be decoded")
    return samples


def seconds_of(samples: Samples) -> float:
    """The duration, rounded to the millisecond."""
    return round(len(samples) / SAMPLE_RATE, 3)


def _decoded(path: Path) -> tuple[Samples, float]:
    """The samples, and the seconds that the header promises (0 when it does not tell)."""
    with av.open(str(path), format="flac") as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        blocks = [block for frame in container.decode(stream) for block in _plain(resampler.resample(frame))]
        blocks += _plain(resampler.resample(None)) if blocks else []
        promised = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    return np.concatenate([np.zeros(0, dtype=np.int16), *blocks]), promised


def _plain(frames: list[Any]) -> list[Samples]:
    return [frame.to_ndarray().reshape(-1) for frame in frames]


def _unreadable(path: Path, reason: str) -> EngineFailure:
    return EngineFailure("media_unreadable", f"{path.name} is not readable as FLAC ({reason}); cut the recording again")
