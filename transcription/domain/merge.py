"""From what was heard in each piece to one transcript of the recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.speakers import LABEL_CHARACTERS
from transcription.domain.transcript import Segment, Transcript, Word, one_line


@dataclass(frozen=True, slots=True)
class HeardPiece:
    """A piece (samples at 16 kHz) and the segments an engine gave for it, in seconds from the start of the piece."""

    start_sample: int
    end_sample: int
    segments: Sequence[Mapping[str, Any]]


def merge(pieces: Iterable[HeardPiece], language: str = "") -> Transcript:
    """One transcript of all pieces, in the order of the recording."""
    ordered = sorted(pieces, key=lambda piece: piece.start_sample)
    segments = in_order(segment for piece in ordered for segment in place(piece))
    seconds = max((piece.end_sample for piece in ordered), default=0) / SAMPLE_RATE
    return Transcript(tuple(segments), language, seconds)


def place(piece: HeardPiece) -> list[Segment]:
    """The segments of one piece on the recording's timeline: within the piece, in order, none of them empty."""
    start, end = piece.start_sample / SAMPLE_RATE, piece.end_sample / SAMPLE_RATE
    read = [read_segment(raw) for raw in piece.segments]
    moved = (moved_within(segment, start, end) for segment in sorted(read, key=lambda segment: segment.start))
    return in_order(segment for segment in moved if segment.text)


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """Segments that begin no earlier than the one before ends. Words keep their own times: nothing is dropped."""
    result: list[Segment] = []
    for segment in segments:
        earliest = result[-1].end if result else 0.0
        start = max(segment.start, earliest)
        result.append(replace(segment, start=start, end=max(segment.end, start)))
    return result


def read_segment(raw: Mapping[str, Any]) -> Segment:
    """A segment as engines answer it: `{"start", "end", "text", "words": […], "speaker"}`, the last only from some."""
    words = tuple(read_word(word) for word in raw.get("words") or () if one_line(str(word["word"])))
    return Segment(float(raw["start"]), float(raw["end"]), one_line(str(raw["text"])), words, read_speaker(raw))


def read_speaker(raw: Mapping[str, Any]) -> str:
    """The engine's label for who speaks, as one short line; empty where it does not say."""
    return one_line(str(raw.get("speaker") or ""))[:LABEL_CHARACTERS].strip()


def read_word(raw: Mapping[str, Any]) -> Word:
    """A word as engines answer it; some put a space before it."""
    probability = raw.get("probability")
    return Word(
        one_line(str(raw["word"])),
        float(raw["start"]),
        float(raw["end"]),
        None if probability is None else float(probability),
    )


def moved_within(segment: Segment, start: float, end: float) -> Segment:
    """The segment moved by `start`, with all its times between `start` and `end`: engines overshoot at the edges."""

    def moved(seconds: float) -> float:
        return min(max(start + seconds, start), end)

    words = tuple(
        replace(word, start=moved(word.start), end=max(moved(word.start), moved(word.end))) for word in segment.words
    )
    first = moved(segment.start)
    return replace(segment, start=first, end=max(first, moved(segment.end)), words=words)
