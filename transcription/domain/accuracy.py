"""How far a transcript is from what was said."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

APOSTROPHES = "'’ʼ"  # noqa: RUF001


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Words to insert, delete or replace, as a share of the words in `reference`; case and punctuation do not count.

    0 is perfect; it may exceed 1. With an empty reference: 0 if the hypothesis is empty too, else 1.
    """
    said, heard = normalised_words(reference), normalised_words(hypothesis)
    if not said:
        return 1.0 if heard else 0.0
    return edit_distance(said, heard) / len(said)


def normalised_words(text: str) -> list[str]:
    """Lower-case words without punctuation; an apostrophe is part of its word."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(plain(character) for character in folded if character not in APOSTROPHES)
    return kept.split()


def plain(character: str) -> str:
    """The character itself if it is part of a word, else a space."""
    return character if unicodedata.category(character)[0] in "LNM" else " "


def edit_distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein's distance between two sequences of words."""
    row = list(range(len(heard) + 1))
    for number, wanted in enumerate(said, 1):
        diagonal, row[0] = row[0], number
        for place, got in enumerate(heard, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (wanted != got))
    return row[-1]
