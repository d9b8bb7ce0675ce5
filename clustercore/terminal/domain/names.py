"""Names and texts from outside as one line."""

from __future__ import annotations

from unicodedata import category

_KEPT_FORMATS = frozenset("\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060")
"""Invisible characters that belong to words: joiners (Persian, emoji), hyphens, break marks, marks of a direction."""


def without_controls(text: str) -> str:
    """Returns a text with a space for each control, line break, surrogate and mark that turns what follows around.

    Spaces of a width of their own, joiners within words and characters newer than this Python stay.
    """
    return "".join(character if _is_of_a_line(character) else " " for character in text)


def _is_of_a_line(character: str) -> bool:
    return character.isprintable() or character in _KEPT_FORMATS or category(character) in ("Zs", "Cn", "Co")
