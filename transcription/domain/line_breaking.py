# ruff: noqa: RUF001
"""Where a line of text may end, and how wide it is: by display columns, and as the rules of each script ask.

The rules are the part of Unicode's line breaking (UAX #14) and of the Japanese kinsoku rules (JIS X 4051) that
captions need: nothing that closes begins a line, nothing that opens ends one, and no character is torn from its marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import category

from wcwidth import iter_graphemes, wcswidth, wcwidth

from transcription.domain.transcript import is_unspaced

NO_BREAK = frozenset("\u00a0\u202f\u2007\u2060\u200d")
"""Spaces and joiners at which no line ends."""
_CLOSING = frozenset(
    "!%),.:;?]}¢°’”†‡›»…‰′″‼⁇⁈⁉℃ー々ゝゞヽヾ〻・、。〉》」』】〕〗〙〛〜〟！％），．：；？］｝｡｣､･ｰﾞﾟ～ๆฯ।॥،؛؟"
)
_SMALL_KANA = frozenset("ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿｧｨｩｪｫｬｭｮｯ")
_FOLLOWING_VOWELS = frozenset("ะาำๅະາຳ")
"""Thai and Lao vowels that stand after their consonant."""
_OPENING = frozenset("([{‘“‚„‹«¡¿〈《「『【〔〖〘〚〝（［｛｢")
_LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")
"""Thai and Lao vowels that stand before their consonant."""
_STACKERS = frozenset("\u17d2\u1039\u200d\u2060")
"""Signs that bind the next letter to the one before: Khmer, Burmese, joiners."""
_BEGINNING_NO_LINE = _CLOSING | _SMALL_KANA | _FOLLOWING_VOWELS
_ENDING_NO_LINE = _OPENING | _LEADING_VOWELS | _STACKERS
_MODIFIERS = range(0x1F3FB, 0x1F400)


def width(text: str) -> int:
    """How many columns a text takes: two for a wide character, none for a combining one."""
    columns = wcswidth(text)
    return columns if columns >= 0 else sum(max(0, wcwidth(character)) for character in text)


def may_break(left: str, separator: str, right: str) -> bool:
    """Whether a line may end between two texts that have `separator` between them."""
    if not left or not right or NO_BREAK.intersection(separator):
        return False
    if separator:
        return not (_is_only(right, _CLOSING) or _is_only(left, _OPENING))
    if right[0] in _BEGINNING_NO_LINE or left[-1] in _ENDING_NO_LINE:
        return False
    if _continues(right[0]):
        return False
    return is_unspaced(left[-1]) or is_unspaced(right[0])


def _is_only(text: str, characters: frozenset[str]) -> bool:
    return all(character in characters for character in text)


def _continues(character: str) -> bool:
    """Whether a character belongs to the one before it."""
    return category(character)[0] == "M" or character in NO_BREAK or ord(character) in _MODIFIERS


def unbroken_parts(text: str, most: int) -> Iterator[str]:
    """A word in the parts between which a line may end; a part is cut where it is wider than `most` columns."""
    if width(text) <= most and not any(map(is_unspaced, text)):
        yield text
        return
    part, columns = "", 0
    for grapheme in iter_graphemes(text):
        own = width(grapheme)
        if part and (may_break(part, "", grapheme) or columns + own > most):
            yield part
            part, columns = "", 0
        part, columns = part + grapheme, columns + own
    if part:
        yield part


def line_ends(widths: Sequence[int], gaps: Sequence[int], most: int) -> list[int]:
    """Sets parts of these widths into lines of at most `most` columns and returns where each line ends.

    `gaps` are the columns before each part; those before the first of a line are not counted. There are as few lines
    as can be, of lengths as even as can be.
    """
    ends = _filled(widths, gaps, most)
    narrow, wide = 1, most
    while narrow < wide:
        middle = (narrow + wide) // 2
        if len(_filled(widths, gaps, middle)) <= len(ends):
            wide = middle
        else:
            narrow = middle + 1
    return _filled(widths, gaps, wide)


def _filled(widths: Sequence[int], gaps: Sequence[int], most: int) -> list[int]:
    ends: list[int] = []
    columns = 0
    for at, (own, gap) in enumerate(zip(widths, gaps, strict=True)):
        if at and columns + gap + own > most:
            ends.append(at)
            columns = own
        else:
            columns += own + (gap if at else 0)
    return [*ends, len(widths)]
