"""The room's command."""

from clustercore.terminal.domain.commands import JOBS, Command

COMMANDS = (Command("mark", f"{__name__}.asking:mark_essay", "Mark an essay.", JOBS),)
