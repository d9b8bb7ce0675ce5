"""Which rung of a ladder a model stands on. Rung numbers count from the bottom, so a higher number is better."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def rung_of(ladder: Sequence[str], engine: str, model: str) -> int:
    """The rung of `engine:model`: `len(ladder) - 1` for the best, 0 for the last, -1 when no pattern fits."""
    label = f"{engine}:{model}".lower()
    for position, pattern in enumerate(ladder):
        if fnmatchcase(label, pattern.lower()):
            return len(ladder) - 1 - position
    return -1
