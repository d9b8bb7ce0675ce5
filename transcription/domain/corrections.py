"""What people wrote over what was heard: applied whenever a transcript is read, so that nothing heard is lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import pairwise

from wcwidth import iter_graphemes

from transcription.domain.transcript import (
    Segment,
    Word,
    is_unspaced,
    joined,
    one_line,
    separators,
    spaced,
    words_tell_text,
)

_JOINTS = ("'", "’", "ʼ", "-", "\u2010", "\u2011")  # noqa: RUF001
"""With these a word ends or begins that is joined to its neighbour."""


@dataclass(frozen=True, slots=True)
class Change:
    """A person's text for one word, by its place among the words heard, or for the whole segment (`word` None).

    An empty text deletes.
    """

    word: int | None
    text: str


@dataclass(slots=True)
class Standing:
    """Which changes of a segment count: the latest for each word, or the latest for the whole."""

    whole: str | None = None
    words: dict[int, str] = field(default_factory=dict)

    @property
    def is_anything(self) -> bool:
        return self.whole is not None or bool(self.words)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one heard word stood, and what stands there now; no words when it was deleted."""

    heard: Word
    words: tuple[Word, ...]
    corrected: bool = False
    separator: str = " "
    """What stands before it in the text."""

    @property
    def text(self) -> str:
        """What stands there now, without what stands before it."""
        return joined(word.word for word in self.words)


def standing(changes: Iterable[Change]) -> Standing:
    """What counts of a segment's changes, given oldest first. A text for the whole sets earlier words aside; words
    cannot be told apart any more while it stands."""
    result = Standing()
    for change in changes:
        if change.word is None:
            result = Standing(whole=change.text)
        elif result.whole is None:
            result.words[change.word] = change.text
    return result


def corrected(segment: Segment, count: Standing) -> Segment:
    """The segment as people left it, with times for its words as far as they are known."""
    if count.whole is not None:
        return replace(segment, text=one_line(count.whole), words=retimed(segment, count.whole))
    if not count.words or not words_tell_text(segment):
        return segment
    places = places_of(segment, count)
    return replace(segment, text=_text_of(places), words=tuple(word for place in places for word in place.words))


def _text_of(places: Iterable[Place]) -> str:
    """The words that are left, each with what was before it; before a deleted word a space stays a space, unless it
    was joined to the one that is left."""
    text = ""
    between: list[str] = []
    for place in places:
        between.append(place.separator)
        if place.words:
            is_joined = not between[0] and text.endswith(_JOINTS)
            text += (max(between, key=len) if text and not is_joined else "") + place.text
            between = []
    return text


def places_of(segment: Segment, count: Standing) -> tuple[Place, ...]:
    """Each heard word with what stands there now; a space where a correction took the joint between two words."""
    places = [
        Place(word, spread([count.words[at]], word.start, word.end), corrected=True, separator=separator)
        if at in count.words
        else Place(word, (word,), separator=separator)
        for at, (word, separator) in enumerate(zip(segment.words, separators(segment), strict=True))
    ]
    parted = (replace(right, separator=" ") if _is_parted(left, right) else right for left, right in pairwise(places))
    return (*places[:1], *parted)


def _is_parted(left: Place, right: Place) -> bool:
    if right.separator or not (left.words and right.words and spaced(left.text, right.text)):
        return False
    has_lost_end = left.heard.word.rstrip().endswith(_JOINTS) and not left.text.endswith(_JOINTS)
    has_lost_beginning = right.heard.word.lstrip().startswith(_JOINTS) and not right.text.startswith(_JOINTS)
    return has_lost_end or has_lost_beginning


def spread(texts: Iterable[str], start: float, end: float) -> tuple[Word, ...]:
    """The words of the texts, sharing the time from `start` to `end` by their letters. A person wrote them, so that
    no engine's probability goes with them."""
    return timed([part for text in texts for part in text.split()], start, end)


def timed(parts: Sequence[str], start: float, end: float) -> tuple[Word, ...]:
    """Words that share the time from `start` to `end` by their letters."""
    letters_in_all = sum(map(len, parts))
    words, said = [], 0
    for part in parts:
        first = start + (end - start) * said / letters_in_all
        said += len(part)
        words.append(Word(part, first, start + (end - start) * said / letters_in_all))
    return tuple(words)


def retimed(segment: Segment, text: str) -> tuple[Word, ...]:
    """Times for a text written over a whole segment: words that were heard keep theirs, others share what is left."""
    old = segment.words
    if not old:
        return ()
    new = words_in(text, frozenset(word.word for word in old))
    found: list[Word] = []
    matcher = SequenceMatcher(None, [word.word for word in old], new, autojunk=False)
    for what, i1, i2, j1, j2 in matcher.get_opcodes():
        if what == "equal":
            found += old[i1:i2]
        else:
            found += timed(new[j1:j2], *_stretch(segment, i1, i2))
    return tuple(found)


def words_in(text: str, known: Collection[str] = ()) -> list[str]:
    """A text in words: at its spaces and, in scripts without, in the longest words that are `known`, else in
    characters."""
    return [word for part in text.split() for word in _unspaced_words(part, known)]


def _unspaced_words(part: str, known: Collection[str]) -> Iterator[str]:
    if not any(map(is_unspaced, part)):
        yield part
        return
    longest = max(map(len, known), default=1)
    at = 0
    while at < len(part):
        lengths = range(min(longest, len(part) - at), 0, -1)
        length = next((n for n in lengths if part[at : at + n] in known), 0) or _run_length(part[at:])
        yield part[at : at + length]
        at += length


def _run_length(text: str) -> int:
    """How many characters from the first on stay together: one of a script without spaces, else all up to the next."""
    if is_unspaced(text[0]):
        return len(next(iter_graphemes(text)))
    return next((at for at, character in enumerate(text) if is_unspaced(character)), len(text))


def _stretch(segment: Segment, first: int, after: int) -> tuple[float, float]:
    """From when to when the heard words `first` to before `after` were said; between two words, the pause."""
    words = segment.words
    if first < after:
        return words[first].start, words[after - 1].end
    start = words[first - 1].end if first else segment.start
    end = words[first].start if first < len(words) else segment.end
    return start, max(start, end)


def what_stands(segment: Segment, count: Standing, word: int | None) -> str:
    """The text at a word's place, or of the whole segment, as it is read now."""
    if word is None:
        return corrected(segment, count).text
    return places_of(segment, count)[word].text


def is_place(segment: Segment, word: int) -> bool:
    """Whether a single word of that number can be corrected."""
    return words_tell_text(segment) and 0 <= word < len(segment.words)
