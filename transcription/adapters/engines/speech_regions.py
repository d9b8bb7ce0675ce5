"""Where somebody speaks, by energy: cuts long audio at its silences, for engines that want whole utterances.

Nothing louder than the silence around it is left out: a region begins and ends in padding, and audio without any
silence is cut at its quietest point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transcription.adapters.engines.audio import Samples
from transcription.domain.sampling import SAMPLE_RATE

FRAME = SAMPLE_RATE // 100
SILENCE_SECONDS = 0.4
"""A shorter pause is part of an utterance."""
PADDING_SECONDS = 0.2
MAXIMUM_SECONDS = 12.0
"""Keeps progress coming: an utterance is decoded in one call, which says nothing until it ends."""
FAINTEST_DECIBELS = -66.0
"""Below this, relative to full scale, there is nothing to hear."""
FLATTEST_DECIBELS = 12.0
"""With a smaller distance between quiet and loud the audio has no silence worth the name."""


@dataclass(frozen=True, slots=True)
class Region:
    """A half-open range of samples."""

    start: int
    end: int


def speech_regions(samples: Samples) -> list[Region]:
    """The utterances, in order, not overlapping, none longer than MAXIMUM_SECONDS; empty for silence."""
    levels = frame_levels(samples)
    runs = _joined(_loud_runs(levels > _threshold(levels)))
    pieces = [piece for run in _padded(runs, len(levels)) for piece in _split(run, levels)]
    regions = [Region(start * FRAME, min(end * FRAME, len(samples))) for start, end in pieces]
    return [region for region in regions if region.end > region.start]


def frame_levels(samples: Samples) -> NDArray[np.float32]:
    """Loudness of each 10 ms in decibels relative to full scale; the last frame may be shorter."""
    padded = np.pad(samples, (0, -len(samples) % FRAME)).reshape(-1, FRAME)
    power = np.empty(len(padded), dtype=np.float32)
    for first in range(0, len(padded), 6_000):
        block = padded[first : first + 6_000].astype(np.float32)
        power[first : first + 6_000] = (block * block).mean(axis=1)
    return np.asarray(10 * np.log10(power / 32_768.0**2 + 1e-12), dtype=np.float32)


def _threshold(levels: NDArray[np.float32]) -> float:
    audible = levels[levels > FAINTEST_DECIBELS]
    if not len(audible):
        return float("inf")
    quiet, loud = (float(value) for value in np.percentile(levels, (10, 95)))
    if loud - quiet < FLATTEST_DECIBELS:
        return FAINTEST_DECIBELS
    # Speech fades far below its peaks (a final "s" lies some 30 dB lower): stay close to the silence, not to the peaks.
    return max(FAINTEST_DECIBELS, min(quiet + 0.25 * (loud - quiet), loud - 30.0))


def _loud_runs(loud: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < SILENCE_SECONDS * 100:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _padded(runs: list[tuple[int, int]], frames: int) -> list[tuple[int, int]]:
    padding = int(PADDING_SECONDS * 100)
    return [(max(0, start - padding), min(frames, end + padding)) for start, end in runs]


def _split(run: tuple[int, int], levels: NDArray[np.float32]) -> list[tuple[int, int]]:
    start, end = run
    longest = int(MAXIMUM_SECONDS * 100)
    pieces: list[tuple[int, int]] = []
    while end - start > longest:
        first = start + longest // 2
        # Smoothed over 100 ms: a gap between words, not the closure inside a consonant.
        smooth = np.convolve(levels[first : start + longest], np.ones(10) / 10, mode="same")
        cut = first + int(np.argmin(smooth[10:-10])) + 10
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]
