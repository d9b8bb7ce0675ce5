"""Frames of any layout and rate to 16 kHz mono samples."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from transcription.adapters.opening import MediaError
from transcription.domain.cut import SAMPLE_RATE, Samples


class Mixer:
    """Turns frames into mono samples at 16 kHz; surround goes through FFmpeg's own matrix."""

    def __init__(self) -> None:
        self._shape: tuple[int, str, str] | None = None
        self._resampler = new_resampler()

    def take(self, frame: AudioFrame) -> Iterator[Samples]:
        """The samples that `frame` brings to completion. Raises MediaError `undecodable`."""
        shape = (frame.sample_rate, frame.layout.name, frame.format.name)
        if shape != self._shape:
            yield from self.drain()
            self._shape = shape
        frame.pts = None
        yield from self._resampled(frame)

    def drain(self) -> Iterator[Samples]:
        """What is left inside; afterwards the mixer is as new."""
        if self._shape is None:
            return
        yield from self._resampled(None)
        self._shape, self._resampler = None, new_resampler()

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Samples]:
        try:
            known = averaged(frame) if frame is not None and is_unnamed(frame) else frame
            results = self._resampler.resample(known)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError("undecodable", f"The sound cannot be converted ({error}). Convert it to FLAC.") from error
        for result in results:
            if result.samples:
                yield result.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def new_resampler() -> AudioResampler:
    """To 16 kHz mono, 16 bits."""
    return AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)


def is_unnamed(frame: AudioFrame) -> bool:
    """Whether nobody says what the channels are, as with the tracks of a field recorder; none may then be left out."""
    return frame.layout.nb_channels > 2 and frame.layout.name.endswith("channels")


def averaged(frame: AudioFrame) -> AudioFrame:
    """All channels of a frame, mixed in equal parts. Raises av.FFmpegError for more planes than FFmpeg converts."""
    data = interleaved(frame).to_ndarray()
    table = data.reshape(-1, frame.layout.nb_channels)
    mixed = AudioFrame.from_ndarray(unit(table).mean(axis=1).reshape(1, -1), format="flt", layout="mono")
    mixed.sample_rate = frame.sample_rate
    return mixed


def interleaved(frame: AudioFrame) -> AudioFrame:
    """The frame with its channels in one plane: with more than eight, PyAV would read beyond its list of planes."""
    if not frame.format.is_planar:
        return frame
    packer = AudioResampler(format=frame.format.packed, layout=frame.layout, rate=frame.sample_rate)
    [packed] = packer.resample(frame)
    return packed


def unit(table: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Samples of any type as floats between -1 and 1."""
    values = table.astype(np.float32)
    if table.dtype.kind not in "iu":
        return values
    half = float(2 ** (table.dtype.itemsize * 8 - 1))
    return values / np.float32(half) - np.float32(table.dtype.kind == "u")
