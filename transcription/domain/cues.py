"""Dividing a transcript into captions that can be read: by default two lines of 42 columns, seven seconds at most.

The widths and times are those of the usual guides for subtitles (Netflix, BBC): a line has 42 columns, a caption stays
for at least five sixths of a second where there is room, and no word stands alone if it can be helped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from transcription.domain.corrections import timed, words_in
from transcription.domain.line_breaking import line_ends, may_break, unbroken_parts, width
from transcription.domain.transcript import Gap, Segment, Transcript, one_line, separators, spaced, words_tell_text

CUE_SECONDS = 7.0
SHORTEST_SECONDS = 0.8
"""A caption lasts this long where the next one leaves room."""
CUE_PAUSE_SECONDS = 1.5
"""A pause this long begins a new caption."""
ORPHAN_COLUMNS = 6
"""A caption of no more columns stands alone like a single word."""
INSTANT = 0.001
"""The shortest time that the formats can tell."""
COST_OF_WEAK, COST_OF_LONG = 3.0, 4.0
"""Of a caption too short to stand alone, and of one too long to read; one more caption costs 1 to 2."""
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "।", "؟", "።", "။", "។")  # noqa: RUF001
_CLAUSE_ENDS = (",", ";", ":", "、", "，", "；", "：", "،", "؛", "–", "—")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Layout:
    """How much a caption holds: `line_width` columns in each of at most `line_count` lines."""

    line_width: int = 42
    line_count: int = 2

    @property
    def columns(self) -> int:
        """All that a caption holds."""
        return self.line_width * self.line_count


DEFAULT_LAYOUT = Layout()
NARROWEST, WIDEST, MOST_LINES = 4, 200, 5
LONGEST_SECONDS, MOST_PARTS = 3 * CUE_SECONDS, 300
"""No longer caption is considered, however much its lines hold; one of `FEW_PARTS` may take any time."""
FEW_PARTS = 20


class LayoutRefused(ValueError):
    """A layout that no caption can have; `name` says which of its numbers is wrong."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def layout_from(given: Mapping[str, str | int | None]) -> Layout:
    """Returns the layout of `max_line_width` and `max_line_count`; what is missing or empty is as by default.

    Raises LayoutRefused.
    """
    return Layout(
        _number(given, "max_line_width", DEFAULT_LAYOUT.line_width, NARROWEST, WIDEST),
        _number(given, "max_line_count", DEFAULT_LAYOUT.line_count, 1, MOST_LINES),
    )


def _number(given: Mapping[str, str | int | None], name: str, default: int, least: int, most: int) -> int:
    value = given.get(name)
    text = "" if value is None else str(value).strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6 and least <= int(text) <= most):
        raise LayoutRefused(name, f"{text[:40]!r} is not a whole number from {least} to {most}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption: text of one or more lines, shown from `start` to `end` (seconds)."""

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str = ""
    note: str = ""
    """What is to be said of it beside its text."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of text that stays in one line, with what stands before it and when it is spoken."""

    separator: str
    text: str
    start: float
    end: float
    columns: int
    ends_segment: bool = False
    is_timed: bool = True
    """Whether an engine told its times; else they are shared out by letters."""


def cues_of(transcript: Transcript, layout: Layout = DEFAULT_LAYOUT, *, naming: bool = False) -> list[Cue]:
    """Returns the captions of a transcript, in order, none over another; one in brackets stands as long as a gap.

    With `naming`, the text begins with the speaker's name where another person begins to speak.
    """
    cues: list[Cue] = []
    for part in transcript.parts():
        cues += _gap_cues(part, layout) if isinstance(part, Gap) else _spoken_cues(part.segments, layout, naming)
    return _with_room(cues, transcript.seconds)


def _spoken_cues(segments: Iterable[Segment], layout: Layout, naming: bool) -> Iterator[Cue]:
    for speaker, parts in _stretches(segments, layout, naming):
        yield from (_cue(group, speaker, layout) for group in _groups(parts, layout))


def _gap_cues(gap: Gap, layout: Layout) -> list[Cue]:
    """One caption for all of a gap, more where a narrow layout has no room for its words."""
    first, *others = _spoken_cues([Segment(gap.start, gap.end, f"[{gap.few_words}]")], layout, naming=False)
    return [replace(first, note=gap.words), *others]


def wrapped(text: str, layout: Layout = DEFAULT_LAYOUT) -> tuple[str, ...]:
    """Returns a text in lines of at most `layout.line_width` columns, as few and as even as can be; longer words are
    broken."""
    line = one_line(text)
    if width(line) <= layout.line_width:
        return (line,)
    parts = list(_parts_of(Segment(0.0, 0.0, line), layout))
    ends = line_ends([part.columns for part in parts], [_gap(part) for part in parts], layout.line_width)
    return tuple(_text_of(parts[first:after]) for first, after in pairwise([0, *ends]))


def _stretches(segments: Iterable[Segment], layout: Layout, naming: bool) -> Iterator[tuple[str, list[Part]]]:
    """What is divided together: a segment, and with it its neighbours where one is too short to stand alone."""
    speaking, stretch = "", list[Part]()
    for segment in segments:
        if not one_line(segment.text):
            continue
        name = f"{segment.speaker}: " if naming and segment.speaker not in ("", speaking) else ""
        parts = list(_parts_of(segment, layout, name))
        if stretch and not (segment.speaker == speaking and _belongs_together(stretch, parts)):
            yield speaking, stretch
            stretch = []
        if stretch and spaced(stretch[-1].text, parts[0].text):
            parts[0] = replace(parts[0], separator=" ")
        stretch += parts
        speaking = segment.speaker
    if stretch:
        yield speaking, stretch


def _belongs_together(stretch: Sequence[Part], parts: Sequence[Part]) -> bool:
    last = next((at for at in range(len(stretch) - 2, -1, -1) if stretch[at].ends_segment), -1) + 1
    near = parts[0].start - stretch[-1].end < CUE_PAUSE_SECONDS
    return near and (_is_weak(stretch[last:], parts[0].start) or _is_weak(parts, parts[-1].end))


def _is_weak(parts: Sequence[Part], until: float) -> bool:
    """Whether parts would make a caption that is too short to stand alone, in time or in words."""
    return until - parts[0].start < SHORTEST_SECONDS or _is_orphan(parts)


def _is_orphan(parts: Sequence[Part]) -> bool:
    return len(parts) == 1 or sum(part.columns for part in parts[:ORPHAN_COLUMNS]) <= ORPHAN_COLUMNS


def _parts_of(segment: Segment, layout: Layout, name: str = "") -> Iterator[Part]:
    """A segment in parts that no line end divides; `name` stands before the first."""
    told = words_tell_text(segment)
    text = one_line(segment.text)
    words = segment.words if told else timed(words_in(text), segment.start, segment.end)
    segment = replace(segment, text=text, words=words)
    pieces: list[Part] = []
    for separator, word in zip(separators(segment), segment.words, strict=True):
        end = max(word.start, word.end)
        texts = list(unbroken_parts(one_line(word.word), layout.line_width))
        for at, spoken in enumerate(timed(texts, word.start, end)):
            before = separator if at == 0 else ""
            pieces.append(Part(before, spoken.word, spoken.start, spoken.end, 0, is_timed=told))
    if name:
        pieces = [*_name_parts(name, pieces[0], layout), replace(pieces[0], separator=" "), *pieces[1:]]
    *rest, last = _glued(pieces, layout)
    yield from rest
    yield replace(last, ends_segment=True)


def _name_parts(name: str, first: Part, layout: Layout) -> list[Part]:
    words = name.split()
    return [
        Part(" " if at == 0 and number else "", text, first.start, first.start, 0, is_timed=first.is_timed)
        for number, word in enumerate(words)
        for at, text in enumerate(unbroken_parts(word, layout.line_width))
    ]


def _glued(pieces: Sequence[Part], layout: Layout) -> list[Part]:
    """Neighbours between which no line may end become one part, as far as a line holds it."""
    parts: list[Part] = []
    for piece in pieces:
        own = replace(piece, columns=width(piece.text))
        if parts and not may_break(parts[-1].text, own.separator, own.text):
            text = parts[-1].text + own.separator + own.text
            if (columns := width(text)) <= layout.line_width:
                end = max(parts[-1].end, own.end)
                parts[-1] = replace(parts[-1], text=text, end=end, columns=columns)
                continue
        parts.append(own)
    return parts


def _groups(parts: Sequence[Part], layout: Layout) -> list[Sequence[Part]]:
    """The parts in groups that each make a caption: few of them, even, with no word alone, cut where sense allows.

    A shortest path over the places where a caption may end, as Knuth and Plass divide paragraphs into lines.
    """
    columns = [0, *accumulate(_gap(part) + part.columns for part in parts)]
    best: list[tuple[float, int]] = [(0.0, 0)]
    for after in range(1, len(parts) + 1):
        best.append(
            min(
                (best[first][0] + _cost(parts, first, after, (columns[after] - columns[first]) / layout.columns), first)
                for first in _beginnings(parts, after, layout)
            )
        )
    groups: list[Sequence[Part]] = []
    after = len(parts)
    while after:
        first = best[after][1]
        groups.append(parts[first:after])
        after = first
    return groups[::-1]


def _beginnings(parts: Sequence[Part], after: int, layout: Layout) -> Iterator[int]:
    """Where a caption may begin that ends before part `after`: as far back as its lines reach, nobody pauses, and it
    is not far too long.

    Lines are filled from the end back, which takes as many as from the beginning.
    """
    columns, lines = 0, 1
    for first in range(after - 1, max(-1, after - 1 - MOST_PARTS), -1):
        if after - first > FEW_PARTS and parts[after - 1].end - parts[first].start > LONGEST_SECONDS:
            return
        own = parts[first].columns
        gap = _gap(parts[first + 1]) if first + 1 < after else 0
        if first + 1 < after and columns + gap + own > layout.line_width:
            lines, columns = lines + 1, own
        else:
            columns += gap + own
        if lines > layout.line_count:
            return
        yield first
        if first and parts[first].is_timed and parts[first].start - parts[first - 1].end >= CUE_PAUSE_SECONDS:
            return


def _gap(part: Part) -> int:
    return width(part.separator)


def _cost(parts: Sequence[Part], first: int, after: int, fullness: float) -> float:
    """How bad a caption of the parts from `first` to before `after` is; `fullness` is 1 where it fills its lines."""
    cost = 1.0 + (1.0 - fullness) ** 2 + _cost_of_end(parts[after - 1])
    end = parts[after - 1].end
    until = parts[after].start if after < len(parts) else end + SHORTEST_SECONDS
    if after - first < len(parts) and _is_weak(parts[first : min(after, first + ORPHAN_COLUMNS + 1)], until):
        cost += COST_OF_WEAK
    if parts[first].is_timed and end - parts[first].start > CUE_SECONDS:
        cost += COST_OF_LONG
    return cost


def _cost_of_end(part: Part) -> float:
    if part.ends_segment:
        return 0.0
    text = part.text.rstrip("\"'”’»」』)")  # noqa: RUF001
    if text.endswith(_SENTENCE_ENDS):
        return 0.1
    return 0.3 if text.endswith(_CLAUSE_ENDS) else 0.5


def _cue(group: Sequence[Part], speaker: str, layout: Layout) -> Cue:
    return Cue(group[0].start, max(part.end for part in group), wrapped(_text_of(group), layout), speaker)


def _text_of(group: Sequence[Part]) -> str:
    return "".join(part.separator * (at > 0) + part.text for at, part in enumerate(group))


def _with_room(cues: Sequence[Cue], seconds: float) -> list[Cue]:
    """The captions in their order, none over another, each as long as it takes to be seen where there is room.

    A word whose time is out of order moves its caption, and never the text.
    """
    starts = list(accumulate((cue.start for cue in reversed(cues)), min))[::-1]
    result: list[Cue] = []
    free_from = 0.0
    for at, cue in enumerate(cues):
        begins = max(_whole(starts[at]), free_from)
        ends = max(_whole(cue.end), begins)
        if at + 1 < len(cues):
            limit = max(_whole(starts[at + 1]), begins)
        else:
            limit = max(seconds, ends) if seconds else begins + max(SHORTEST_SECONDS, ends - begins)
        ends = min(max(ends, begins + SHORTEST_SECONDS), limit)
        begins = max(free_from, min(begins, ends - SHORTEST_SECONDS))
        free_from = max(_whole(ends), _whole(begins + INSTANT))
        result.append(replace(cue, start=_whole(begins), end=free_from))
    return result


def _whole(seconds: float) -> float:
    """Seconds to the millisecond, as the formats write them."""
    return round(max(0.0, seconds), 3)
