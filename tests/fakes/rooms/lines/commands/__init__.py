"""The room's command."""

from clustercore.terminal.domain.commands import JOBS, Command

COMMANDS = (Command("lines", f"{__name__}.asking:lines", "Count the lines of a text.", JOBS),)
