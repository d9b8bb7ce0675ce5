"""What may be asked, and the rules."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field


class MarkEssay(BaseModel):
    """How an essay is marked."""

    highest: int = Field(default=10, ge=1, le=100, description="The mark of a paragraph without fault.")


def paragraphs_of(text: str) -> list[str]:
    """Returns the paragraphs of a text that have anything in them."""
    return [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]


def mean(marks: Sequence[float]) -> float:
    """Returns the mean of some marks, of which there is at least one."""
    return round(sum(marks) / len(marks), 2)
