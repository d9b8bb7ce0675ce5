"""A recording's whole way through, in one process: cut, read each piece, merge."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustercore.nodes.domain.engine import Engine, JsonObject
from tests.fakes.transcription.engines.oracle import Oracle
from tests.fakes.transcription.engines.tones import SpokenWord
from transcription.adapters.media import MediaCutter
from transcription.domain.merge import HeardPiece, merge
from transcription.domain.transcript import Transcript


@dataclass(slots=True)
class Reports:
    """Everything an engine reported."""

    fractions: list[float] = field(default_factory=list)
    events: list[JsonObject] = field(default_factory=list)

    def __call__(self, fraction: float, event: JsonObject | None = None) -> None:
        """Note a report."""
        self.fractions.append(fraction)
        if event is not None:
            self.events.append(event)

    @property
    def pieces(self) -> list[dict[str, Any]]:
        """The pieces that were handed over."""
        return [event["piece"] for event in self.events]

    @property
    def cuts(self) -> list[tuple[int, int]]:
        """Where they begin and end, in samples."""
        return [(piece["start_sample"], piece["end_sample"]) for piece in self.pieces]


def cut(
    path: Path,
    directory: Path,
    piece_seconds: float = 10.0,
    window_seconds: float = 4.0,
    *,
    maximum_seconds: float = 4 * 3600.0,
    known: list[tuple[int, int]] | None = None,
    track: int | None = None,
) -> tuple[JsonObject, Reports]:
    """Cut a recording; the result and what was reported on the way."""
    reports = Reports()
    request = {
        "path": str(path),
        "directory": str(directory),
        "piece_seconds": piece_seconds,
        "window_seconds": window_seconds,
        "maximum_seconds": maximum_seconds,
        "known": known or [],
        "track": track,
    }
    return MediaCutter().run(request, reports), reports


def transcribe(pieces: list[dict[str, Any]], engine: Engine | None = None) -> Transcript:
    """What an engine (the oracle by default) hears in the pieces, merged."""
    listener = engine or Oracle()
    heard = [
        HeardPiece(
            piece["start_sample"],
            piece["end_sample"],
            listener.run({"path": piece["path"], "language": None, "prompt": "", "words": True}, Reports())["segments"],
        )
        for piece in pieces
    ]
    return merge(heard)


def worst_shift(transcript: Transcript, truth: list[SpokenWord]) -> float:
    """How far the worst placed word is from where it was spoken, in seconds. Raises AssertionError for other words."""
    words = [word for segment in transcript.segments for word in segment.words]
    assert [word.word for word in words] == [spoken.word for spoken in truth]
    return max(
        max(abs(word.start - spoken.start), abs(word.end - spoken.end))
        for word, spoken in zip(words, truth, strict=True)
    )
