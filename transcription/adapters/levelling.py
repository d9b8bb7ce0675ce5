"""Loudness: what is far too quiet is made louder, what exceeds full scale softer, and an offset is taken out.

Decided for each block of sound from what came before it, so that the same recording always gives the same samples.
A recording of ordinary loudness is left as it is, to the bit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transcription.adapters.mixing import Floats
from transcription.domain.cut import FRAME, Samples
from transcription.domain.sampling import SAMPLE_RATE

QUIET_DECIBELS = -45.0
"""Loud frames below this, relative to full scale, are too quiet for voice detection."""
WANTED_DECIBELS = -26.0
STEEPNESS = 3.0
"""Decibels of gain for each decibel below QUIET_DECIBELS, so that sound at that border is not switched to and fro."""
FAINTEST_DECIBELS = -88.0
"""Below this there is nothing but the noise of 16 bits."""
LEAST_RANGE_DECIBELS = 6.0
"""Speech comes and goes by more than this; steady noise is not made louder."""
SHARES = (0.1, 0.95)
"""How many frames are no louder than what counts as quiet, and as loud."""
MEMORY_FRAMES = 30 * 100
OVER_SCALE = 1.25
"""Floats may exceed full scale; a little of that is cut off as every player does."""
PEAK = 0.9
WILD = 4.0
"""So far above nearly all other samples of a block lie clicks and faults, not the peaks of sound."""
OFFSET_SHARE = 0.25
"""An offset is taken out when it is more than this share of the sound around it."""
LEAST_OFFSET = 2e-4
LEAST_OFFSET_SAMPLES = SAMPLE_RATE // 4
"""The mean of a shorter block is part of a wave, and no offset."""
OVERDRIVEN_SHARE = 0.01
"""A block is overdriven when so many of its samples lie at full scale."""
FADE = SAMPLE_RATE // 100
FULL_SCALE = 32_768.0


@dataclass(slots=True)
class Loudness:
    """What was done to a recording's loudness, in seconds."""

    raised_seconds: float = 0.0
    most_decibels: float = 0.0
    overdriven_seconds: float = 0.0
    has_sound: bool = False


@dataclass(slots=True)
class Leveller:
    """Turns mono floats into samples of 16 bits at a loudness that can be heard. `loudness` tells what was done."""

    loudness: Loudness = field(default_factory=Loudness)
    _levels: Floats = field(default_factory=lambda: np.empty(0, np.float32))
    _peaks: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    _gain: float | None = None
    _offset: float | None = None

    def take(self, block: Floats) -> Samples:
        """The next samples, about a second at a time."""
        known = block if np.isfinite(block).all() else np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0)
        level = self._without_offset(known)
        seconds = len(block) / SAMPLE_RATE
        if np.count_nonzero(np.abs(known) >= 0.999) > OVERDRIVEN_SHARE * len(block):
            self.loudness.overdriven_seconds += seconds
        gain = self._gain_for(level, peak_of(level))
        if gain > 2.0:
            self.loudness.raised_seconds += seconds
            self.loudness.most_decibels = max(self.loudness.most_decibels, 20 * float(np.log10(gain)))
        whole = level * (self._ramp(gain, len(level)) * np.float32(FULL_SCALE))
        np.rint(whole, out=whole)
        return np.clip(whole, -FULL_SCALE, FULL_SCALE - 1, out=whole).astype(np.int16)

    def _gain_for(self, block: Floats, peak: float) -> float:
        levels = frame_decibels(block)
        self._levels = np.concatenate((self._levels, levels))[-MEMORY_FRAMES:]
        self._peaks.append(peak)
        quiet, loud = quiet_and_loud(levels)
        if loud < QUIET_DECIBELS:
            # Only then does what came before make a difference.
            quiet, usual = quiet_and_loud(self._levels)
            loud = max(loud, usual)
        self.loudness.has_sound |= loud > FAINTEST_DECIBELS
        if max(self._peaks) > OVER_SCALE:
            return PEAK / max(self._peaks)
        if not FAINTEST_DECIBELS < loud < QUIET_DECIBELS or loud - quiet < LEAST_RANGE_DECIBELS:
            return 1.0
        decibels = min(WANTED_DECIBELS - loud, STEEPNESS * (QUIET_DECIBELS - loud))
        return max(1.0, min(10 ** (decibels / 20), PEAK / peak if peak else 1.0))

    def _ramp(self, gain: float, length: int) -> npt.NDArray[np.float32] | np.float32:
        before, self._gain = self._gain, gain
        if before is None or before == gain:
            return np.float32(gain)
        # Down at once, for what follows is loud; up in the course of the block.
        fade = min(FADE, length) if gain < before else length
        ramp = np.full(length, gain, np.float32)
        ramp[:fade] = np.linspace(before, gain, fade, dtype=np.float32)
        return ramp

    def _without_offset(self, block: Floats) -> Floats:
        if not len(block):
            return block
        offset = self._offset_of(block)
        before, self._offset = offset if self._offset is None else self._offset, offset
        if not before and not offset:
            return block
        return block - np.linspace(before, offset, len(block), dtype=np.float32)

    def _offset_of(self, block: Floats) -> float:
        if len(block) < LEAST_OFFSET_SAMPLES:
            return self._offset or 0.0
        mean = float(block.mean())
        return mean if abs(mean) > LEAST_OFFSET and abs(mean) > OFFSET_SHARE * float(block.std()) else 0.0


def peak_of(block: Floats) -> float:
    """The highest level of a block of sound; what lies far above 99.5 of 100 samples is no measure of it."""
    if not len(block):
        return 0.0
    levels = np.abs(block)
    highest = float(levels.max())
    if highest <= OVER_SCALE:
        return highest
    usual = float(np.percentile(levels, 99.5))
    return usual if highest > WILD * usual else highest


def quiet_and_loud(levels: Floats) -> tuple[float, float]:
    """Up to where the quietest frames reach, and from where on the loudest lie."""
    places = np.arange(len(levels))
    quiet, loud = np.interp(np.array(SHARES) * (len(levels) - 1), places, np.sort(levels))
    return float(quiet), float(loud)


def frame_decibels(block: Floats) -> npt.NDArray[np.float32]:
    """Loudness of each 10 ms in decibels relative to full scale; the last may be shorter."""
    missing = -len(block) % FRAME
    padded = (np.pad(block, (0, missing)) if missing else block).reshape(-1, FRAME)
    power = np.einsum("ij,ij->i", padded, padded) / FRAME
    return np.asarray(10 * np.log10(power + 1e-12), dtype=np.float32)
