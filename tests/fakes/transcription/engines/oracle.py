"""An engine that never mishears: it reads words coded as tone bursts, and misbehaves exactly when told to.

`ORACLE_SECONDS` makes every piece take so long, `ORACLE_POISON` and `ORACLE_HANG` (words, separated by commas) make it
die or fall silent on pieces with such a word. Only the variants for the fault tests read them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from clustercore.nodes.domain.engine import JsonObject, Loaded, ModelRecord, Report
from tests.fakes.transcription.engines.tones import RATE, SpokenWord, heard
from transcription.adapters.flac import read_flac

SEGMENT_PAUSE_SECONDS = 0.6


class Oracle:
    """Reads tone words with exact times."""

    name: ClassVar[str] = "oracle"
    capability: ClassVar[str] = "stt"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        """One model that hears every language."""
        return [
            ModelRecord(
                capability=self.capability,
                engine=self.name,
                model="tones",
                traits=("lang:*", "detects-language", "word-times"),
                memory_mb=64,
            )
        ]

    def load(self, model: str, models_directory: Path) -> Loaded:
        """Nothing to load."""
        return Loaded(device="cpu")

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Transcribe one piece."""
        samples = read_flac(Path(request["path"]))
        words = heard(samples)
        self.before_answering(words, report)
        report(1.0)
        return {
            "segments": [segment_of(group) for group in grouped(words)],
            "language": request.get("language") or "en",
            "seconds_of_audio": len(samples) / RATE,
        }

    def before_answering(self, words: Sequence[SpokenWord], report: Report) -> None:
        """Where the variants misbehave."""


class SlowOracle(Oracle):
    """Takes `ORACLE_SECONDS` a piece, reporting every 0.1 s."""

    def before_answering(self, words: Sequence[SpokenWord], report: Report) -> None:
        """Work slowly but visibly."""
        seconds = float(os.environ.get("ORACLE_SECONDS", "0"))
        began = time.monotonic()
        while (spent := time.monotonic() - began) < seconds:
            report(min(0.99, spent / seconds))
            time.sleep(min(0.1, seconds - spent))


class CrashingOracle(SlowOracle):
    """Kills its own process on a piece that holds a word of `ORACLE_POISON`."""

    def before_answering(self, words: Sequence[SpokenWord], report: Report) -> None:
        """Die without a word if poisoned."""
        if listed(words, "ORACLE_POISON"):
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        super().before_answering(words, report)


class HangingOracle(SlowOracle):
    """Falls silent for ever on a piece that holds a word of `ORACLE_HANG`."""

    def before_answering(self, words: Sequence[SpokenWord], report: Report) -> None:
        """Spin without reporting if told to."""
        while listed(words, "ORACLE_HANG"):
            time.sleep(0.1)
        super().before_answering(words, report)


def listed(words: Sequence[SpokenWord], variable: str) -> bool:
    """Whether a word is named in the environment variable."""
    return not {spoken.word for spoken in words}.isdisjoint(os.environ.get(variable, "").split(","))


def grouped(words: Sequence[SpokenWord]) -> list[list[SpokenWord]]:
    """Words between longer pauses."""
    groups: list[list[SpokenWord]] = []
    for word in words:
        if groups and word.start - groups[-1][-1].end < SEGMENT_PAUSE_SECONDS:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def segment_of(words: Sequence[SpokenWord]) -> JsonObject:
    """A segment in the shape that transcribing engines answer with."""
    return {
        "start": words[0].start,
        "end": words[-1].end,
        "text": " ".join(word.word for word in words),
        "words": [{"word": word.word, "start": word.start, "end": word.end, "probability": 1.0} for word in words],
    }
