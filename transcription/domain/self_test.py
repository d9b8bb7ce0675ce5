"""What a node learns from transcribing the bundled clip: how fast it is, on what, and whether it heard the words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

GOOD_ENOUGH = 0.5
"""The last rung gets one word in ten wrong on clean speech; half the words wrong means that something is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """`real_time_factor`: seconds of work per second of audio, so below 1 is faster than real time."""

    real_time_factor: float
    device: str
    words_right: float
    """Fraction (0 to 1) of the words of the clip that were heard, in their order."""
    passed: bool
    verdict: str

    def as_json(self) -> dict[str, str | float | bool]:
        return {
            "real_time_factor": self.real_time_factor,
            "device": self.device,
            "words_right": self.words_right,
            "passed": self.passed,
            "verdict": self.verdict,
        }


def judge(
    *, clip_seconds: float, elapsed_seconds: float, device: str, expected: str, heard: Sequence[str] | str
) -> SelfTest:
    """Raises ValueError for a clip without duration or without words."""
    if clip_seconds <= 0:
        raise ValueError(f"a self-test needs a clip with a duration, not {clip_seconds} s")
    right = fraction_right(expected, heard if isinstance(heard, str) else " ".join(heard))
    factor = round(elapsed_seconds / clip_seconds, 3)
    passed = right >= GOOD_ENOUGH
    return SelfTest(
        real_time_factor=factor,
        device=device,
        words_right=right,
        passed=passed,
        verdict=_verdict(factor, device, right, passed),
    )


def fraction_right(expected: str, heard: str) -> float:
    """How many of the expected words (0 to 1) were heard in their order. Raises ValueError when none are expected."""
    wanted = words_of(expected)
    if not wanted:
        raise ValueError(f"a self-test needs a clip with words, not {expected!r}")
    matches = SequenceMatcher(None, wanted, words_of(heard), autojunk=False).get_matching_blocks()
    return round(sum(match.size for match in matches) / len(wanted), 3)


def words_of(text: str) -> list[str]:
    """Lower case, without punctuation; apostrophes stay inside words."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


def _verdict(factor: float, device: str, right: float, passed: bool) -> str:
    speed = f"{1 / factor:.1f} times as fast as real time" if factor > 0 else "too fast to measure"
    heard = f"{round(right * 100)} of 100 words right"
    if not passed:
        return f"{heard}: this engine does not work here ({device}); pull its model again or use another"
    if factor > 1:
        return f"works, but slower than real time ({factor:.1f} s for each second) on {device}; {heard}"
    return f"works: {speed} on {device}; {heard}"
