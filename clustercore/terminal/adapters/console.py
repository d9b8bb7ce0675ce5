"""Where words go: results, remarks beside them, and what went wrong."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

from clustercore.terminal.adapters.encoding import json_for

PIPE_WIDTH = 200


def output() -> Console:
    """For results; a pipe has no width, so that tables are not folded for it."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def errors() -> Console:
    """For everything that is not a result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str | Text, style: str = "") -> None:
    """One line of result; names from outside are text, never markup."""
    output().print(text if isinstance(text, Text) else Text(text), style=style)


def remark(text: str, style: str = "") -> None:
    """One line beside the results. Where it cannot be written (the log's disk is full) it is left out."""
    with suppress(OSError):
        errors().print(Text(text), style=style)


def complain(text: str) -> None:
    """What went wrong."""
    errors().print(Text.assemble(("Error: ", "bold red"), text))


def write_json(value: Any) -> None:
    """One document on standard output; whatever JSON does not know becomes text."""
    sys.stdout.write(json_for(sys.stdout, value, indent=2) + "\n")
    sys.stdout.flush()


def write_json_line(value: Any) -> None:
    """One document of several, on a line of its own."""
    sys.stdout.write(json_for(sys.stdout, value) + "\n")
