"""Segments as the reader's template wants them. Words become HTML here and not in a template: there are 20,000."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from transcription.domain.corrections import Place
from transcription.domain.reading import Provenance, Reading
from transcription.domain.transcript import Word, separators

UNSURE_BELOW = 0.5
"""Words that an engine gave a lower probability are marked."""


@dataclass(frozen=True, slots=True)
class Line:
    """One segment on the page."""

    id: int
    start: float
    said: SafeString
    speaker: str
    label: str
    begins: bool
    provenance: Provenance
    same_source: bool
    """Whether the segment before was heard by the same engine on the same node."""
    rewritten: bool
    heard: str

    @property
    def clock(self) -> str:
        return short_clock(self.start)


def lines_of(readings: Iterable[Reading]) -> list[Line]:
    """The lines of segments that follow on one another."""
    lines: list[Line] = []
    for reading in readings:
        same = bool(lines) and lines[-1].provenance == reading.provenance
        lines.append(_line(reading, same))
    return lines


def lines_by_piece(readings: Iterable[Reading]) -> dict[int, list[Line]]:
    """The lines of each piece that was heard."""
    groups = groupby(readings, key=lambda reading: reading.piece)
    return {piece: lines_of(group) for piece, group in groups}


def short_clock(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:05`: as a player shows it."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _line(reading: Reading, same_source: bool) -> Line:
    return Line(
        id=reading.id,
        start=reading.heard.start,
        said=_said(reading),
        speaker=reading.speaker,
        label=reading.label,
        begins=reading.begins,
        provenance=reading.provenance,
        same_source=same_source,
        rewritten=reading.standing.whole is not None,
        heard=reading.heard.text,
    )


def _said(reading: Reading) -> SafeString:
    places = reading.places
    if places:
        return _in_a_row(_of_places(places))
    shown = reading.shown
    if shown.words and reading.standing.whole is not None:
        return _in_a_row(
            (before, _span(word.start, word.word)) for before, word in zip(separators(shown), shown.words, strict=True)
        )
    if not shown.text:
        return mark_safe(_span(shown.start, reading.heard.text, kind="deleted"))
    return mark_safe(_span(shown.start, shown.text))


def _of_places(places: Sequence[Place]) -> Iterator[tuple[str, str]]:
    for number, place in enumerate(places):
        heard = place.heard
        if not place.corrected:
            kind = "unsure" if _is_unsure(heard) else ""
            span = _span(heard.start, heard.word, number, kind, _note(heard) if kind else "")
        elif place.words:
            span = _span(heard.start, place.text, number, "corrected", f"heard: {heard.word}")
        else:
            span = _span(heard.start, heard.word, number, "deleted", "deleted")
        yield place.separator, span


def _is_unsure(word: Word) -> bool:
    return word.probability is not None and word.probability < UNSURE_BELOW


def _note(word: Word) -> str:
    return f"heard with {round((word.probability or 0.0) * 100)} % certainty"


def _span(start: float, text: str, number: int | None = None, kind: str = "", note: str = "") -> str:
    attributes = f' data-t="{start:.2f}"'
    if number is not None:
        attributes += f' data-w="{number}"'
    if kind:
        attributes += f' class="{kind}"'
    if note:
        attributes += f' title="{escape(note)}"'
    inner = f"<del>{escape(text)}</del>" if kind == "deleted" else escape(text)
    return f"<span{attributes}>{inner}</span>"


def _in_a_row(words: Iterable[tuple[str, str]]) -> SafeString:
    """Spans, each with what stands before it in the text."""
    return mark_safe("".join(before + span for before, span in words))
