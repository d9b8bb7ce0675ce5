"""`clustercore lines FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from clustercore.jobs.commands.submitting import ask
from tests.fakes.rooms.lines.workflows import LINES


def lines(file: Path, skip_empty: Annotated[bool, Option(help="Leave out lines without a word.")] = False) -> int:
    """Count the lines of a text."""
    return ask(LINES, file, {"skip_empty": skip_empty})
