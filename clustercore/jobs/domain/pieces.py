"""The grid of pieces: what each shows, in chunks, so that one small change sends little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clustercore.jobs.domain.humanize import duration_words, look_of, speed_words
from clustercore.jobs.domain.progress import UnitProgress

PIECES_PER_CHUNK = 50
NO_COLOUR = "none"
_QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One unit as a cell of the grid."""

    unit: UnitProgress
    colour: str
    """`0` to `11`, the node's; `none` where no node has touched it."""
    label: str
    """Everything about it, for a screen reader and on hover."""

    @property
    def quarters(self) -> int:
        """How many quarters of it are done: fine enough to see, coarse enough not to redraw all the time."""
        return _QUARTERS if self.unit.state == "done" else int(self.unit.progress * _QUARTERS)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Up to fifty pieces that follow one another."""

    job_id: int
    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitWindow:
    """Some units of a job that has too many to show: what is in hand, what went wrong or waits for a person, what is
    due next, and what was done last in order."""

    in_hand: tuple[UnitProgress, ...] = ()
    troubled: tuple[UnitProgress, ...] = ()
    next: tuple[UnitProgress, ...] = ()
    last_done: tuple[UnitProgress, ...] = ()

    @property
    def ids(self) -> list[int]:
        """Those of all of them."""
        return [unit.id for part in (self.in_hand, self.troubled, self.next, self.last_done) for unit in part]


def chunks_of(job_id: int, units: Sequence[UnitProgress], colours: Mapping[str, int]) -> list[Chunk]:
    """The units that people count, cut into chunks; `colours` by a node's name."""
    pieces = pieces_of(units, colours)
    starts = range(0, len(pieces), PIECES_PER_CHUNK)
    return [
        Chunk(job_id, number, tuple(pieces[start : start + PIECES_PER_CHUNK])) for number, start in enumerate(starts)
    ]


def pieces_of(units: Sequence[UnitProgress], colours: Mapping[str, int]) -> list[Piece]:
    """Each unit as a cell; `colours` by a node's name."""
    return [Piece(unit, colour_of(unit.node, colours), _label(unit)) for unit in units]


def colour_of(node: str, colours: Mapping[str, int]) -> str:
    """The last part of a node's colour class."""
    return str(colours[node]) if node in colours else NO_COLOUR


def _label(unit: UnitProgress) -> str:
    parts = [f"{unit.stage.capitalize()} {unit.ordinal + 1}: {look_of(unit.state).word}"]
    if unit.node:
        parts.append(f"on {unit.node}")
    if unit.served_by:
        parts.append(f"by {unit.served_by}")
    if unit.seconds is not None:
        speed = speed_words(unit.speed)
        parts.append(f"in {duration_words(unit.seconds)}{f' ({speed})' if speed else ''}")
    if unit.attempts > 1:
        parts.append(f"attempt {unit.attempts}")
    if unit.note and unit.state != "done":
        parts.append(unit.note)
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Group:
    """Pieces of a wide job that a person asks for together; `name` is the last part of its element's id."""

    job_id: int
    name: str
    title: str
    pieces: tuple[Piece, ...]
    has_reasons: bool = False
    """Whether what is said of each is to be read at once."""


def groups_of(job_id: int, window: UnitWindow, colours: Mapping[str, int]) -> list[Group]:
    """The window's parts, all of them, empty or not: each is an element that may fill later."""
    return [
        Group(job_id, "now", "In work now", tuple(pieces_of(window.in_hand, colours))),
        Group(job_id, "trouble", "Failed, or waiting for a person", tuple(pieces_of(window.troubled, colours)), True),
        Group(job_id, "next", "Next in line", tuple(pieces_of(window.next, colours))),
        Group(job_id, "done", "The last done, in order", tuple(pieces_of(window.last_done, colours))),
    ]
