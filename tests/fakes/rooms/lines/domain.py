"""What may be asked, and the rule."""

from __future__ import annotations

from pydantic import BaseModel, Field


class CountLines(BaseModel):
    """How the lines of a text are counted."""

    skip_empty: bool = Field(default=False, description="Whether lines without a word are left out.")


def lines_in(text: str, *, skip_empty: bool) -> int:
    """Returns how many lines a text has."""
    return sum(1 for line in text.splitlines() if line.strip() or not skip_empty)
