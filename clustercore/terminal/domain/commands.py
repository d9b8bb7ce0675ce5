"""What is to be known of a command without importing it: what it says of itself in a list, where it is, what it needs.

A room's package `commands` has a tuple of them, `COMMANDS`, and imports nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

FIRST = "Begin with these"
JOBS = "Jobs"
MACHINES = "Machines"
PEOPLE = "People"
PANELS = (FIRST, JOBS, MACHINES, PEOPLE)
"""The parts of the list of commands, in order."""
_LAST = 100


class Needs(Enum):
    """What a command is loaded into."""

    NOTHING = "nothing"
    """Not even the settings."""
    ENVIRONMENT = "environment"
    """The settings, and neither Django nor Celery."""
    TABLES = "tables"
    """Django's models, to look at them; not Celery, and nothing that works or gives work."""
    LEDGER = "ledger"
    """Django's models and Celery's tasks."""
    PAGES = "pages"
    """All that the web process has: addresses, every table."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command, or a group of them; `target` names its function or its Typer, as `package.module:name`."""

    name: str
    target: str
    summary: str
    """The first line of its own help."""
    panel: str
    needs: Needs = Needs.LEDGER
    place: int = _LAST
    """Among those of its panel; those without one come last, as their rooms list them."""
    example: str = ""
    """What is typed to try it, for whoever has just started a cluster."""


def in_order(commands: Iterable[Command]) -> list[Command]:
    """Returns the commands as a person meets them. Raises ValueError where two have one name."""
    found = sorted(commands, key=lambda one: (PANELS.index(one.panel), one.place))
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two commands are named {', '.join(twice)}")
    return found
