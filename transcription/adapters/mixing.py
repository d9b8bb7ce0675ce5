"""Frames of any layout and rate to 16 kHz mono, none of whose channels cancel each other out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler

from transcription.adapters.opening import MediaError
from transcription.domain.sampling import SAMPLE_RATE

Floats = npt.NDArray[np.float32]

BLOCK = SAMPLE_RATE
"""Samples over which it is decided how the channels lie to each other."""
GATHERED = 1 << 16
"""Samples that are converted in one call: a call for each frame of a codec costs more than the conversion."""
MOST_PLANES = 7
"""With more, PyAV would read beyond its list of planes."""
FADE = SAMPLE_RATE // 100
CANCELLED = 0.06
"""Two channels cancel each other out when their sum has less than this share of the energy of their difference."""
AUDIBLE = 0.1
"""A channel with less than this share of the energy of the loudest one is no measure for the others."""
MOST = 1e6
"""Floats beyond this, times full scale, are no sound; their squares could not be added up."""
SHARES = {"FL": 0.7071, "FR": 0.7071, "FC": 1.0, "LFE": 0.0, "LFE2": 0.0}
"""How much of a channel of surround sound is heard in the mix; of those to the sides, behind and above half."""


class Mixer:
    """Turns frames into mono samples at 16 kHz, floats of which 1 is full scale, in blocks of a second.

    A channel that cancels another out is turned over first; `inverted_samples` counts the samples of such blocks.
    """

    def __init__(self) -> None:
        self.inverted_samples = 0
        self._shape: tuple[int, str, str] | None = None
        self._resampler: AudioResampler | None = None
        self._shares: Floats = np.ones(1, np.float32)
        self._signs: Floats | None = None
        self._frames: list[AudioFrame] = []
        self._waiting = 0
        self._gathered: list[Floats] = []
        self._size = 0

    def take(self, frame: AudioFrame) -> Iterator[Floats]:
        """The samples that `frame` brings to completion. Raises MediaError `undecodable`."""
        shape = (frame.sample_rate, frame.layout.name, frame.format.name)
        if shape != self._shape:
            yield from self.drain()
            self._shape = shape
        frame.pts = None
        self._frames.append(frame)
        self._waiting += frame.samples
        if self._waiting >= GATHERED:
            yield from self._blocks(self._resampled(self._taken()))

    def drain(self) -> Iterator[Floats]:
        """What is left inside, its last block shorter than a second; afterwards the mixer is as new."""
        if self._shape is None:
            return
        if self._frames:
            yield from self._blocks(self._resampled(self._taken()))
        yield from self._blocks(self._resampled([]))
        if self._size:
            yield self._mixed(np.concatenate(self._gathered))
        self._gathered, self._size = [], 0
        self._shape, self._resampler = None, None

    def _taken(self) -> list[AudioFrame]:
        frames, self._frames, self._waiting = self._frames, [], 0
        return frames

    def _blocks(self, tables: Iterator[Floats]) -> Iterator[Floats]:
        for table in tables:
            self._gathered.append(table)
            self._size += len(table)
        if self._size < BLOCK:
            return
        whole = np.concatenate(self._gathered)
        end = self._size - self._size % BLOCK
        self._gathered, self._size = [whole[end:]], len(whole) - end
        for start in range(0, end, BLOCK):
            yield self._mixed(whole[start : start + BLOCK])

    def _resampled(self, frames: list[AudioFrame]) -> Iterator[Floats]:
        """What the resampler gives for the frames; without any, what is left inside it."""
        try:
            results = self._converted(frames)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError("undecodable", f"The sound cannot be converted ({error}). Convert it to FLAC.") from error
        for result in results:
            if result.samples:
                yield bounded(result.to_ndarray().reshape(result.samples, -1).astype(np.float32, copy=False))

    def _converted(self, frames: list[AudioFrame]) -> list[AudioFrame]:
        numbers = finite(joined(frames)) if frames else None
        known = averaged(numbers) if numbers is not None and is_unnamed(numbers) else numbers
        if self._resampler is None:
            if known is None:
                return []
            self._start(known.layout)
        assert self._resampler is not None
        return self._resampler.resample(known)

    def _start(self, layout: AudioLayout) -> None:
        self._resampler = AudioResampler(format="flt", layout=layout, rate=SAMPLE_RATE)
        self._shares, self._signs = shares_of(layout), None

    def _mixed(self, table: Floats) -> Floats:
        if table.shape[1] == 1:
            return table[:, 0]
        before = np.ones(table.shape[1], np.float32) if self._signs is None else self._signs
        is_first, self._signs = self._signs is None, signs_of(table, before)
        if (self._signs < 0).any():
            self.inverted_samples += len(table)
        mono: Floats = table @ (self._signs * self._shares)
        if not is_first and (before != self._signs).any():
            fade = np.linspace(0.0, 1.0, min(FADE, len(table)), dtype=np.float32)
            old = table[: len(fade)] @ (before * self._shares)
            mono[: len(fade)] = fade * mono[: len(fade)] + (1 - fade) * old
        return mono


def shares_of(layout: AudioLayout) -> Floats:
    """How much of each channel is heard in the mix; together 1."""
    names = [channel.name for channel in layout.channels]
    shares = np.array([SHARES.get(name, 0.5) for name in names], np.float32)
    if len(names) <= 2 or not shares.any():
        shares = np.ones(len(names), np.float32)
    return np.asarray(shares / shares.sum(), np.float32)


def signs_of(table: Floats, before: Floats) -> Floats:
    """1 or -1 for each channel of `table`, of shape (length, channels): -1 turns over one that cancels another out.

    The first channel that is loud enough is the measure for the others. A channel that was turned over stays so until
    it is clearly in phase.
    """
    # A channel's samples side by side: many times faster to add up than those of all channels in turn.
    channels = np.ascontiguousarray(table.T)
    energies = np.einsum("ij,ij->i", channels, channels)
    loudest = float(energies.max())
    if loudest <= 0.0:
        return before
    first = int(np.flatnonzero(energies >= AUDIBLE * loudest)[0])
    products = channels @ channels[first]
    apart, together = (energies + energies[first] + side * 2 * products for side in (-1, 1))
    signs = np.where(together < CANCELLED * apart, -1, np.where(apart < together, 1, before))
    signs[first] = 1
    return signs.astype(np.float32)


def is_unnamed(frame: AudioFrame) -> bool:
    """Whether nobody says what the channels are, as with the tracks of a field recorder; none may then be left out."""
    return frame.layout.nb_channels > 2 and frame.layout.name.endswith("channels")


def joined(frames: list[AudioFrame]) -> AudioFrame:
    """Frames of one shape, and without time stamps, as one. Raises av.FFmpegError."""
    if len(frames) == 1:
        return frames[0]
    fifo = AudioFifo()
    for frame in frames:
        fifo.write(frame)
    whole = fifo.read()
    assert whole is not None
    return whole


def finite(frame: AudioFrame) -> AudioFrame:
    """The frame with silence where a float is no number, which resampling would spread, and with none too large."""
    if not frame.format.name.startswith(("flt", "dbl")):
        return frame
    whole = legible(frame)
    table = whole.to_ndarray()
    mended = bounded(table)
    if mended is table:
        return whole
    result = AudioFrame.from_ndarray(mended, format=whole.format.name, layout=frame.layout.name)
    result.sample_rate = frame.sample_rate
    return result


def bounded(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The table itself, or a mended copy where one of its floats is no number or too large."""
    if len(table) and table.min() >= -MOST and table.max() <= MOST:
        return table
    mended: npt.NDArray[Any] = np.clip(np.nan_to_num(table), -MOST, MOST)
    return mended


def averaged(frame: AudioFrame) -> AudioFrame:
    """All channels of a frame, mixed in equal parts. Raises av.FFmpegError for more planes than FFmpeg converts."""
    table = channels_of(frame)
    mixed = AudioFrame.from_ndarray(table.mean(axis=1).reshape(1, -1), format="flt", layout="mono")
    mixed.sample_rate = frame.sample_rate
    return mixed


def channels_of(frame: AudioFrame) -> Floats:
    """The samples of a frame between -1 and 1, of shape (length, channels). Raises av.FFmpegError, ValueError."""
    whole = legible(frame)
    table = whole.to_ndarray()
    return unit(table.T if whole.format.is_planar else table.reshape(-1, frame.layout.nb_channels))


def legible(frame: AudioFrame) -> AudioFrame:
    """The frame, its channels in one plane where there are too many for planes of their own. Raises av.FFmpegError."""
    if not frame.format.is_planar or frame.layout.nb_channels <= MOST_PLANES:
        return frame
    packer = AudioResampler(format=frame.format.packed, layout=frame.layout, rate=frame.sample_rate)
    [packed] = packer.resample(frame)
    return packed


def unit(table: npt.NDArray[np.generic]) -> Floats:
    """Samples of any type as floats between -1 and 1."""
    values = table.astype(np.float32)
    if table.dtype.kind not in "iu":
        return values
    half = float(2 ** (table.dtype.itemsize * 8 - 1))
    return values / np.float32(half) - np.float32(table.dtype.kind == "u")
