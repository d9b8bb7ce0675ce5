"""How much work is, and how fast it goes, in the words of its kind (`KindOutline.amount_unit`)."""

from __future__ import annotations

from clustercore.terminal.domain.humanize import clock_words, factor_words

_SECONDS = "s"


def amount_words(amount: float | None, unit: str) -> str:
    """Returns `1:05 of sound` for a unit that begins with seconds, else `12 pages`; nothing where either is missing."""
    if not amount or not unit:
        return ""
    first, _, rest = unit.partition(" ")
    return f"{clock_words(amount)} {rest}".rstrip() if first == _SECONDS else f"{amount:,.0f} {unit}"


def pace_words(speed: float | None, unit: str) -> str:
    """Returns what is done in a second of work: times real time where that is seconds too, else `12 pages/s`."""
    if speed is None:
        return ""
    first = unit.partition(" ")[0]
    return f"{factor_words(speed)} real time" if first in ("", _SECONDS) else f"{speed:.3g} {unit}/s"
