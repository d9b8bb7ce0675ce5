"""The ledger's activity: what tells whether reading more of it can find anything new."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Activity:
    """Two moments with equal marks may differ in what `written` tells; with equal `written` too, they are the same."""

    mark: object
    """Changes with what is news: a line of any job's story."""
    written: object
    """Changes with whatever is written, signs of life included."""
    is_working: bool
    """Whether a piece of work is in hand, so that progress is to be expected at any time."""
