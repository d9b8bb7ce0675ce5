"""Who speaks: what the engine heard, and what people say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

LABEL_CHARACTERS = 40
NAME_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Turn:
    """A person's word on who speaks, from a segment on, or in that segment alone. An empty label: nobody knows."""

    label: str
    alone: bool = False


def speakers_along(heard: Sequence[str], said: Mapping[int, Turn]) -> list[str]:
    """The label of each segment, from the engine's labels and what people said, by the segments' places.

    What was said of a segment holds until the next thing that was said, or until the engine hears another speaker.
    """
    labels: list[str] = []
    holding: Turn | None = None
    engine_said = ""
    for at, label in enumerate(heard):
        if holding is not None and label != engine_said:
            holding = None
        turn = said.get(at)
        if turn is not None and not turn.alone:
            holding, engine_said = turn, label
        speaking = turn or holding
        labels.append(speaking.label if speaking else label)
    return labels


def next_label(known: Iterable[str]) -> str:
    """The first label that nobody has: A, B, … Z, AA, AB, …"""
    taken = set(known)
    return next(label for label in map(letters_of, count()) if label not in taken)


def letters_of(number: int) -> str:
    """0 is A, 25 is Z, 26 is AA."""
    head, last = divmod(number, 26)
    return (letters_of(head - 1) if head else "") + chr(ord("A") + last)
