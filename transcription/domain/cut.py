"""Where a recording is cut: at the quietest point near each nominal boundary, decided while the sound streams past.

Pure: samples go in, instructions come out; whoever decodes and writes files carries them out. All positions are samples
at 16 kHz counted from the start of the recording.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from transcription.domain.sampling import SAMPLE_RATE

FRAME = SAMPLE_RATE // 100
REACHES = (2, 5, 10, 20, 40)
"""How many frames of 10 ms to either side of a cut should be quiet: the deeper and longer a pause, the better."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class CutRule:
    """How long pieces are: `piece` samples, give or take half a `window`; no last piece shorter than `tail`."""

    piece: int
    window: int
    tail: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if self.piece < SAMPLE_RATE:
            raise ValueError("A piece is at least one second long.")
        if not 0 <= self.window <= self.piece:
            raise ValueError("The window is at least 0 and at most one piece long.")

    @classmethod
    def from_seconds(cls, piece: float, window: float) -> CutRule:
        """The rule for a piece and a window in seconds; a window wider than the piece is narrowed to it."""
        return cls(round(piece * SAMPLE_RATE), round(min(window, piece) * SAMPLE_RATE))

    @property
    def settled(self) -> int:
        """Samples from the start of a piece that belong to it wherever it will end."""
        return self.piece - self.window // 2

    @property
    def width(self) -> int:
        """Samples among which the end of a piece is looked for."""
        return self.window // 2 * 2


@dataclass(frozen=True, slots=True)
class Append:
    """Add samples to the piece `ordinal`."""

    ordinal: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class Complete:
    """The piece `ordinal` ends here: it holds the samples from `start` up to, not including, `end`."""

    ordinal: int
    start: int
    end: int
    is_last: bool = False
    """Whether the recording ends with it."""


Instruction = Append | Complete


class Cutting:
    """One pass over one recording. Holds at most a window, a tail and one block of sound at a time."""

    def __init__(
        self, rule_at: Callable[[int], CutRule], known: Sequence[tuple[int, int]] = (), again: Collection[int] = ()
    ) -> None:
        """`rule_at(sample)` is the rule for the piece that starts at that sample; `again` are the ordinals of known
        pieces that are wanted once more."""
        check_known(known)
        if not set(again) <= set(range(len(known))):
            raise ValueError("Only known pieces can be cut again.")
        self._again = deque((ordinal, *known[ordinal]) for ordinal in sorted(set(again)))
        self.position = 0
        self._rule_at = rule_at
        self._ordinal = len(known)
        self._start = known[-1][1] if known else 0
        self.rule = rule_at(self._start)
        self._appended = 0
        self._pending: Samples = np.empty(0, dtype=np.int16)

    def feed(self, block: Samples) -> Iterator[Instruction]:
        """Take the next samples of the recording; consume the iterator before the next call."""
        yield from self._cut_again(block)
        skipped = max(0, min(len(block), self._start - self.position))
        self.position += len(block)
        if skipped == len(block):
            return
        self._pending = np.concatenate((self._pending, block[skipped:]))
        while True:
            yield from self._append(min(len(self._pending), self.rule.settled - self._appended))
            if len(self._pending) < self.rule.width + self.rule.tail or self._appended < self.rule.settled:
                return
            yield from self._append(quietest_point(self._pending[: self.rule.width]))
            yield self._complete()

    def _cut_again(self, block: Samples) -> Iterator[Instruction]:
        after = self.position + len(block)
        while self._again and self._again[0][1] < after:
            ordinal, start, end = self._again[0]
            yield Append(ordinal, block[max(start - self.position, 0) : end - self.position])
            if end > after:
                return
            self._again.popleft()
            yield Complete(ordinal, start, end)

    def finish(self) -> Iterator[Instruction]:
        """The recording has ended: what is left is the last piece."""
        yield from self._append(len(self._pending))
        if self._appended:
            yield replace(self._complete(), is_last=True)

    def _append(self, count: int) -> Iterator[Instruction]:
        if count <= 0:
            return
        taken, self._pending = self._pending[:count], self._pending[count:]
        self._appended += count
        yield Append(self._ordinal, taken)

    def _complete(self) -> Complete:
        end = self._start + self._appended
        done = Complete(self._ordinal, self._start, end)
        self._ordinal, self._start, self._appended = self._ordinal + 1, end, 0
        self.rule = self._rule_at(end)
        return done


def check_known(known: Sequence[tuple[int, int]]) -> None:
    """Raise ValueError unless the known cuts follow one another from sample 0 without a gap."""
    expected = 0
    for start, end in known:
        if start != expected or end <= start:
            raise ValueError("Known cuts start at sample 0 and follow one another without a gap.")
        expected = end


def quietest_point(samples: Samples) -> int:
    """The index at which to cut: the middle of the deepest, longest pause, the nearest to the centre among equals."""
    frames = len(samples) // FRAME
    if frames < 3:
        return len(samples) // 2
    costs = pause_costs(frame_powers(samples[: frames * FRAME]))
    return middle_of_best(costs) * FRAME + FRAME // 2


def frame_powers(samples: Samples) -> npt.NDArray[np.float64]:
    """Mean square of each frame of 10 ms."""
    shaped = samples.reshape(-1, FRAME).astype(np.float64)
    sums: npt.NDArray[np.float64] = np.einsum("ij,ij->i", shaped, shaped)
    return sums / FRAME


def pause_costs(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each frame, how loud it gets within each reach around it, summed on a logarithmic scale.

    What lies outside the window is taken for loud: nothing is known of it.
    """
    levels = np.log(powers + 1.0)
    total = np.zeros_like(levels)
    for reach in REACHES:
        padded = np.pad(levels, reach, constant_values=float(levels.max()))
        total += np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return total


def middle_of_best(costs: npt.NDArray[np.float64]) -> int:
    """The middle of the run of lowest costs that lies nearest to the centre."""
    best = np.flatnonzero(costs <= costs.min() + 1e-9)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    centre = (len(costs) - 1) / 2
    middles = [int(run[len(run) // 2]) for run in runs]
    return min(middles, key=lambda middle: abs(middle - centre))
