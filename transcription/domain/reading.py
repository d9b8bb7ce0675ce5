"""A transcript as people read it: what was heard, what they made of it, who speaks, and which machine heard it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from transcription.domain.corrections import Place, Standing, corrected, places_of
from transcription.domain.transcript import Segment, words_tell_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which node heard something, by which engine and model, on which rung."""

    node: str
    engine: str
    model: str
    rung: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One segment of a recording as it is read."""

    id: int
    piece: int
    """The place of its piece in the recording."""
    heard: Segment
    standing: Standing
    """What people wrote over it."""
    label: str
    speaker: str
    """The name of `label`; the label itself where nobody gave a name."""
    begins: bool
    """Whether somebody else begins to speak here."""
    provenance: Provenance

    @property
    def shown(self) -> Segment:
        """The segment as people left it."""
        return replace(corrected(self.heard, self.standing), speaker=self.speaker)

    @property
    def places(self) -> tuple[Place, ...]:
        """The heard words with what stands there now; none where only the whole segment can be corrected."""
        if self.standing.whole is not None or not words_tell_text(self.heard):
            return ()
        return places_of(self.heard, self.standing)


def segments_shown(readings: Iterable[Reading]) -> tuple[Segment, ...]:
    """The segments that still say something."""
    shown = (reading.shown for reading in readings)
    return tuple(segment for segment in shown if segment.text)
