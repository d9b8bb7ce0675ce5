"""What a model can do, and what work needs of one: plain strings, which only the kinds of work understand."""

from __future__ import annotations

from collections.abc import Collection, Iterable

ANY_OF = ":*"


def met_by(need: str) -> tuple[str, ...]:
    """Returns the traits of which any meets a need: the same, and the one that stands for all with its prefix."""
    prefix, colon, _ = need.partition(":")
    return (need, prefix + ANY_OF) if colon else (need,)


def meets_all(traits: Collection[str], needs: Iterable[str]) -> bool:
    """Returns whether every need is met."""
    return all(any(trait in traits for trait in met_by(need)) for need in needs)
