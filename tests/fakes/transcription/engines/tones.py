"""Words coded as bursts of tones: what the oracle engine reads, and how recordings of them are made.

A word is a number from 0 to 65535, written `w00042`: four bursts for its hexadecimal digits and two for a checksum,
each one of sixteen tones between 600 and 3000 Hz, so that a telephone's 8 kHz and a lossy codec leave it readable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE = 16_000
BURST_SECONDS = 0.06
BURSTS = 6
WORD_SECONDS = BURST_SECONDS * BURSTS
TONES = tuple(600 + 160 * index for index in range(16))
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
LOUDNESS = {1: (1.0,), 2: (1.0, 0.7), 6: (0.1, 0.1, 1.0, 0.0, 0.05, 0.05)}

HOP = RATE // 200
BURST = round(BURST_SECONDS * RATE)

Signal = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and when it is heard, in seconds."""

    word: str
    start: float
    end: float


def name_of(number: int) -> str:
    """How a number is written."""
    return f"w{number:05d}"


def symbols_of(number: int) -> list[int]:
    """The tones of a number: four digits and two of a checksum."""
    check = checksum(number)
    return [number >> shift & 15 for shift in (12, 8, 4, 0)] + [check >> 4, check & 15]


def checksum(number: int) -> int:
    """Eight bits that differ for neighbouring and for shifted numbers."""
    return (number * 167 + (number >> 8) * 59 + 91) & 255


def synthesise(
    words: int, seed: int = 0, rate: int = RATE, channels: int = 1, *, first: int = 0, lead_seconds: float = 0.3
) -> tuple[Signal, list[SpokenWord]]:
    """`words` numbered words with pauses of 0.12 to 0.35 s, every fifth or so of 0.8 to 1.5 s.

    Returns samples of shape (channels, length) between -1 and 1, and the words with their exact times.
    """
    random = np.random.default_rng(seed)
    parts, truth, position = [np.zeros(round(lead_seconds * rate), np.float32)], [], round(lead_seconds * rate)
    for number in range(first, first + words):
        sound = spoken(number, rate)
        truth.append(SpokenWord(name_of(number), position / rate, (position + len(sound)) / rate))
        pause = random.uniform(0.8, 1.5) if random.random() < 0.2 else random.uniform(0.12, 0.35)
        parts += [sound, np.zeros(round(pause * rate), np.float32)]
        position += len(sound) + len(parts[-1])
    mono = np.concatenate(parts)
    return np.stack([mono * share for share in LOUDNESS[channels]]).astype(np.float32), truth


def spoken(number: int, rate: int) -> Signal:
    """The sound of one word."""
    edges = np.round(np.arange(BURSTS + 1) * BURST_SECONDS * rate).astype(int)
    bursts = [burst(TONES[symbol], edges[i + 1] - edges[i], rate) for i, symbol in enumerate(symbols_of(number))]
    return np.concatenate(bursts).astype(np.float32)


def burst(frequency: int, length: int, rate: int) -> Signal:
    """One tone with soft edges of 4 ms."""
    ramp = np.minimum(1.0, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.004 * rate))
    tone: Signal = (0.5 * ramp * np.sin(2 * np.pi * frequency * np.arange(length) / rate)).astype(np.float32)
    return tone


def heard(samples: npt.NDArray[np.int16]) -> list[SpokenWord]:
    """The words in 16 kHz mono samples; a word that is cut or drowned is not heard."""
    if len(samples) < BURST * BURSTS or not samples.any():
        return []
    energy = tone_energy(samples)
    step = BURST // HOP
    starts = len(energy) - step * (BURSTS - 1)
    if starts <= 0:
        return []
    per_burst = np.stack([energy[i * step : i * step + starts] for i in range(BURSTS)])
    symbols, peaks = per_burst.argmax(axis=2), per_burst.max(axis=2)
    purity = (peaks / np.maximum(per_burst.sum(axis=2), 1e-9)).min(axis=0)
    loud = np.sqrt(peaks.min(axis=0)) > 0.15 * np.sqrt(energy.max())
    numbers = (symbols[0] << 12) + (symbols[1] << 8) + (symbols[2] << 4) + symbols[3]
    checks = (symbols[4] << 4) + symbols[5]
    valid = loud & (purity > 0.35) & (checks == (numbers * 167 + (numbers >> 8) * 59 + 91) % 256)
    return picked(numbers, valid, np.sqrt(peaks).sum(axis=0))


def tone_energy(samples: npt.NDArray[np.int16], chunk: int = 2000) -> Signal:
    """Energy of each tone in the burst that starts at each hop of 5 ms; shape (hops, tones)."""
    times = np.arange(BURST) / RATE
    waves = np.exp(-2j * np.pi * np.outer(times, TONES)).astype(np.complex64)
    padded = np.concatenate((samples, np.zeros(BURST))).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, BURST)[::HOP]
    rows = [np.abs(windows[at : at + chunk] @ waves) ** 2 for at in range(0, len(windows), chunk)]
    return np.concatenate(rows).astype(np.float32)


def picked(
    numbers: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_], score: npt.NDArray[np.float32]
) -> list[SpokenWord]:
    """Of overlapping readings, the one best aligned."""
    words: list[SpokenWord] = []
    places = np.flatnonzero(valid)
    span = BURST * BURSTS // HOP
    while len(places):
        near = places[places < places[0] + span // 2]
        best = near[int(score[near].argmax())]
        start = float(best) * HOP / RATE
        words.append(SpokenWord(name_of(int(numbers[best])), start, start + WORD_SECONDS))
        places = places[places > best + span * 3 // 4]
    return words
