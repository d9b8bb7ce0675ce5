"""Every command by name: the program's own, and those of the rooms (`ROOM.commands.COMMANDS`).

A list of commands is shown without importing any of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from clustercore.config.adapters.plugins import has_module, load_module
from clustercore.config.adapters.rooms import further_rooms
from clustercore.project.rooms import ROOMS
from clustercore.terminal.domain.commands import FIRST, MACHINES, PEOPLE, Command, Needs, in_order

_HERE = "clustercore.project.command_line"
OWN = (
    Command(
        "up",
        f"{_HERE}.up:up",
        "Start the cluster on this machine: servers, web process and a worker node.",
        FIRST,
        Needs.ENVIRONMENT,
        place=2,
    ),
    Command(
        "doctor",
        f"{_HERE}.doctor:doctor",
        "Look at everything that clustercore needs: servers, tables, disk, clock, engines, GPU, hub and nodes.",
        FIRST,
        Needs.PAGES,
        place=5,
    ),
    Command(
        "down",
        f"{_HERE}.up:down",
        "Stop what `clustercore up` started: nodes (with their grace), web process and servers.",
        MACHINES,
        Needs.ENVIRONMENT,
    ),
    Command(
        "node",
        f"{_HERE}.node:node",
        "Make this machine a worker node, until Ctrl-C (work in hand gets its grace; once more ends it at once).",
        MACHINES,
    ),
    Command("version", f"{_HERE}.version:version", "Say which version this is.", MACHINES, Needs.NOTHING),
    Command(
        "secrets",
        f"{_HERE}.vault:secrets",
        "Keep what the hub must know and nobody may read: encrypted, and never shown again.",
        PEOPLE,
    ),
)


@cache
def commands() -> tuple[Command, ...]:
    """Returns all of them, in the order in which a person meets them."""
    of_rooms = [command for room in rooms_with_commands() for command in room.COMMANDS]
    return tuple(in_order([*OWN, *of_rooms]))


def rooms_with_commands() -> list[Any]:
    """Returns the packages `commands` of the rooms, those of what people ask for first."""
    names = [f"{room}.commands" for room in reversed((*ROOMS, *further_rooms()))]
    return [load_module(name) for name in names if has_module(name)]
