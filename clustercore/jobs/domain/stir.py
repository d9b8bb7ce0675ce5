"""What tells, without looking at anything, whether looking is worth while."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stir:
    """Two moments with equal marks may differ in what `written` tells; with equal `written` too, they are the same."""

    mark: object
    """Changes with what is news: a line of any job's story."""
    written: object
    """Changes with whatever is written, signs of life included."""
    is_lively: bool
    """Whether a piece of work is in hand, so that progress is to be expected at any time."""
