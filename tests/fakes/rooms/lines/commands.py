"""`clustercore lines FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from clustercore.project.command_line.commands import JOBS, Entry

COMMANDS = (Entry("lines", "tests.fakes.rooms.lines.commands:lines", "Count the lines of a text.", JOBS),)


def lines(file: Path, skip_empty: Annotated[bool, Option(help="Leave out lines without a word.")] = False) -> int:
    """Count the lines of a text."""
    from clustercore.project.command_line.submitting import ask
    from tests.fakes.rooms.lines.workflows import LINES

    return ask(LINES, file, {"skip_empty": skip_empty})
