"""`clustercore mark FILE`."""

from __future__ import annotations

from pathlib import Path

from clustercore.project.command_line.commands import JOBS, Entry

COMMANDS = (Entry("mark", "tests.fakes.rooms.marks.commands:mark_essay", "Mark an essay.", JOBS),)


def mark_essay(file: Path, highest: int = 10) -> int:
    """Mark an essay."""
    from clustercore.project.command_line.submitting import ask
    from tests.fakes.rooms.marks.workflows import MARKS

    return ask(MARKS, file, {"highest": highest})
