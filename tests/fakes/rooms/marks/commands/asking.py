"""`clustercore mark FILE`."""

from __future__ import annotations

from pathlib import Path

from clustercore.jobs.commands.submitting import ask
from tests.fakes.rooms.marks.workflows import MARKS


def mark_essay(file: Path, highest: int = 10) -> int:
    """Mark an essay."""
    return ask(MARKS, file, {"highest": highest})
