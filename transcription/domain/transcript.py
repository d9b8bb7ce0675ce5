"""What was heard, on the recording's own timeline. Times are seconds from its start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it is spoken; `probability` from 0 to 1 where the engine says."""

    word: str
    start: float
    end: float
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, as the engine divided it."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    speaker: str = ""
    """Who speaks, by name or label; empty where nobody said."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A recording's whole text. `seconds`: how long the recording is."""

    segments: tuple[Segment, ...]
    language: str = ""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """All of it in one paragraph."""
        return joined(segment.text for segment in self.segments)

    def paragraphs(self, pause_seconds: float = 2.0) -> list[str]:
        """The text, divided where nobody speaks for `pause_seconds` and where another person does."""
        return [text for _, text in self.passages(pause_seconds)]

    def passages(self, pause_seconds: float = 2.0) -> list[tuple[str, str]]:
        """The paragraphs, each with its speaker."""
        groups: list[list[Segment]] = []
        for segment in self.segments:
            if groups and _goes_on(groups[-1][-1], segment, pause_seconds):
                groups[-1].append(segment)
            else:
                groups.append([segment])
        texts = [(group[0].speaker, joined(segment.text for segment in group)) for group in groups]
        return [(speaker, text) for speaker, text in texts if text]


def _goes_on(earlier: Segment, segment: Segment, pause_seconds: float) -> bool:
    return segment.speaker == earlier.speaker and segment.start - earlier.end < pause_seconds


UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x30FF),
    (0x31F0, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
    (0x20000, 0x3FFFF),
)
"""Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Chinese characters and their punctuation."""


def joined(texts: Iterable[str]) -> str:
    """Texts set one after another, with single spaces where their scripts use spaces."""
    result = ""
    for text in texts:
        piece = " ".join(text.split())
        if piece:
            result += f" {piece}" if result and spaced(result[-1], piece[0]) else piece
    return result


def spaced(left: str, right: str) -> bool:
    """Whether a space belongs between two characters."""
    return not (is_unspaced(left) and is_unspaced(right))


def is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script written without spaces."""
    return any(low <= ord(character) <= high for low, high in UNSPACED)


def words_tell_text(segment: Segment) -> bool:
    """Whether the words are all of the text, so that captions made of them lose nothing."""
    return bool(segment.words) and letters(joined(word.word for word in segment.words)) == letters(segment.text)


def letters(text: str) -> str:
    """A text without its spaces."""
    return "".join(text.split())


def one_line(text: str) -> str:
    """A text as one line: whatever Unicode takes for a space or a control becomes one space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
