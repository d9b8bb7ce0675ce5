"""The commands of people, their tokens and what was done, by name."""

from __future__ import annotations

from clustercore.terminal.domain.commands import PEOPLE, Command, Needs

COMMANDS = (
    Command(
        "audit",
        f"{__name__}.audit:audit",
        "Show who did what, and check that nobody changed the log afterwards.",
        PEOPLE,
    ),
    Command("users", f"{__name__}.people:users", "Say who may come in, and as what.", PEOPLE, Needs.PAGES),
    Command(
        "tokens",
        f"{__name__}.people:tokens",
        "Keys for programs: each has an owner, whose role bounds it, scopes, and an end.",
        PEOPLE,
        Needs.PAGES,
    ),
)
