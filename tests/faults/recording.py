"""Recordings of tone words, whose every word is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.fakes.transcription.engines.tones import RATE, synthesise
from tests.fakes.transcription.recordings import encode

PIECE_SECONDS = 2.0
"""The shortest that may be asked for; a word takes about 0.8 s."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, and the words in it in order."""

    path: Path
    words: tuple[str, ...]


def make_recording(directory: Path, name: str, words: int, first: int) -> Recording:
    """A FLAC of so many words, numbered from `first`: no two recordings of a session share a piece."""
    samples, truth = synthesise(words, seed=first, first=first)
    path = encode(samples, RATE, "flac", directory / f"{name}.flac")
    return Recording(path, tuple(spoken.word for spoken in truth))
