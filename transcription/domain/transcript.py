"""What was heard, on the recording's own timeline. Times are seconds from its start."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from clustercore.terminal.domain.humanize import clock_words
from clustercore.terminal.domain.names import without_controls


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
class Gap:
    """A stretch of which there is no text, and why: in few words, then after a colon whatever more is known."""

    start: float
    end: float
    reason: str

    @property
    def words(self) -> str:
        """The gap in one line: `no text from 1:20 to 1:50: could not be heard: …`."""
        return f"no text from {clock_words(self.start)} to {clock_words(self.end)}: {self.reason}"

    @property
    def few_words(self) -> str:
        """What has room in a caption: `no text: could not be heard`."""
        return f"no text: {self.reason.partition(':')[0]}"


@dataclass(frozen=True, slots=True)
class Transcript:
    """A recording's whole text. `seconds`: how long the recording is; `gaps`: what of it is missing, in order."""

    segments: tuple[Segment, ...]
    language: str = ""
    seconds: float = 0.0
    gaps: tuple[Gap, ...] = ()

    @property
    def text(self) -> str:
        """All of it in one paragraph."""
        return joined(segment.text for segment in self.segments)

    def parts(self) -> list[Transcript | Gap]:
        """What was heard between the gaps, and the gaps, in order."""
        parts: list[Transcript | Gap] = []
        left = self.segments
        for gap in self.gaps:
            # Nothing begins within a gap.
            before = tuple(segment for segment in left if segment.start < gap.end)
            left = left[len(before) :]
            parts += [replace(self, segments=before, gaps=()), gap] if before else [gap]
        return [*parts, replace(self, segments=left, gaps=())] if left or not parts else parts

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
    (0x0E00, 0x0FFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x30FF),
    (0x31F0, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
    (0x20000, 0x3FFFF),
)
"""Scripts written without spaces: Thai, Lao, Tibetan, Burmese, Khmer, kana, Chinese characters and punctuation."""
_BLANKS = re.compile(r"[ ]{2,}")


def joined(texts: Iterable[str]) -> str:
    """Texts set one after another, with single spaces where their scripts use spaces."""
    parts: list[str] = []
    for text in texts:
        piece = one_line(text)
        if piece:
            parts += [" ", piece] if parts and spaced(parts[-1], piece) else [piece]
    return "".join(parts)


def spaced(left: str, right: str) -> bool:
    """Whether a space belongs between two texts, by the letters that are nearest to where they meet."""
    last = next((character for character in reversed(left) if character.isalnum()), left[-1:])
    first = next((character for character in right if character.isalnum()), right[:1])
    return not (is_unspaced(last) and is_unspaced(first))


def is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script written without spaces."""
    return character >= "\u0e00" and any(low <= ord(character) <= high for low, high in UNSPACED)


def words_tell_text(segment: Segment) -> bool:
    """Whether the words are all of the text, so that captions made of them lose nothing."""
    return bool(segment.words) and letters("".join(word.word for word in segment.words)) == letters(segment.text)


def separators(segment: Segment) -> list[str]:
    """What stands in the text before each of its words: nothing, a space, a no-break space.

    Where the words are not the text, what their scripts ask for.
    """
    if not words_tell_text(segment):
        texts = ["", *(word.word for word in segment.words)]
        return [" " if left and spaced(left, right) else "" for left, right in pairwise(texts)]
    found: list[str] = []
    at = 0
    for word in segment.words:
        start = at
        while at < len(segment.text) and segment.text[at].isspace():
            at += 1
        found.append(segment.text[start:at])
        for _ in letters(word.word):
            while segment.text[at].isspace():
                at += 1
            at += 1
    return found


def letters(text: str) -> str:
    """A text without its spaces."""
    return "".join(text.split())


def beginning(text: str, most: int) -> str:
    """Returns at most so many characters of a text, to the end of a word where its script has spaces."""
    if len(text) <= most:
        return text
    cut = text[: most - 2]
    head, space, _ = cut.rpartition(" ")
    return f"{head if space and len(head) > most // 2 else cut} …"


def one_line(text: str) -> str:
    """A text as one line: line breaks and controls become spaces, and runs of spaces one. No-break and other spaces of
    a width of their own stay, and so do joiners within words."""
    return _BLANKS.sub(" ", without_controls(text)).strip()
