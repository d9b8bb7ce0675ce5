"""Dividing a transcript into captions that can be read: two lines of 42 characters, seven seconds at most."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from transcription.domain.transcript import Segment, Transcript, Word, joined, words_tell_text

LINE_CHARACTERS = 42
CUE_LINES = 2
CUE_SECONDS = 7.0
CUE_PAUSE_SECONDS = 1.5
"""A pause this long within a segment begins a new caption."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption: text of one or more lines, shown from `start` to `end` (seconds)."""

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str = ""


def cues_of(transcript: Transcript, *, naming: bool = False) -> list[Cue]:
    """The captions of a transcript, in order. Segments without word times are kept whole.

    With `naming`, the text begins with the speaker's name where another person begins to speak.
    """
    cues: list[Cue] = []
    speaking = ""
    for segment in transcript.segments:
        if segment.text.strip():
            name = f"{segment.speaker}: " if naming and segment.speaker not in ("", speaking) else ""
            cues += cues_of_segment(segment, name)
            speaking = segment.speaker
    return cues


def cues_of_segment(segment: Segment, name: str = "") -> Iterator[Cue]:
    """One caption if it can be read so, else several along the words; `name` stands before the first word."""
    text, speaker = name + segment.text, segment.speaker
    if is_readable(text, segment.end - segment.start) or not words_tell_text(segment):
        yield Cue(segment.start, segment.end, wrapped(text), speaker)
        return
    first, *rest = segment.words
    for words in word_groups([replace(first, word=name + first.word), *rest]):
        lines = wrapped(joined(word.word for word in words))
        yield Cue(words[0].start, max(word.end for word in words), lines, speaker)


def word_groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Words in groups that each make a readable caption; a sentence's end is taken where it comes late enough."""
    group: list[Word] = []
    for word in words:
        if group and not fits(group, word):
            yield group
            group = []
        group.append(word)
        if word.word.endswith((".", "!", "?", "。")) and len(joined(item.word for item in group)) >= LINE_CHARACTERS:
            yield group
            group = []
    if group:
        yield group


def fits(group: Sequence[Word], word: Word) -> bool:
    """Whether a caption stays readable with one more word."""
    text = joined([*(item.word for item in group), word.word])
    return word.start - group[-1].end < CUE_PAUSE_SECONDS and is_readable(text, word.end - group[0].start)


def is_readable(text: str, seconds: float) -> bool:
    """Whether a text fits one caption."""
    return seconds <= CUE_SECONDS and len(wrapped(text)) <= CUE_LINES


def wrapped(text: str) -> tuple[str, ...]:
    """A text in lines of at most 42 characters; longer words are broken."""
    return tuple(textwrap.wrap(" ".join(text.split()), LINE_CHARACTERS, break_on_hyphens=False)) or ("",)
