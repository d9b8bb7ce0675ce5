"""What comes before a command is imported: its variables, then Django with as much as it needs."""

from __future__ import annotations

from clustercore.config.adapters.plugins import load
from clustercore.config.environment import environment, set_variables
from clustercore.project.command_line.program import ThisProgram
from clustercore.project.command_line.startup import CommandLine, data_directory_variable, variables_of
from clustercore.terminal.domain.commands import Needs
from clustercore.terminal.services.program import use_program

SET_UP = "clustercore.project.command_line.frameworks:set_up"


def prepare(line: CommandLine, needs: Needs) -> None:
    """Makes the environment that the flags of a command ask for, and sets up what it needs. Raises CommandError."""
    set_variables(data_directory_variable(line))
    set_variables(variables_of(line, environment()))
    use_program(ThisProgram())
    if needs is not Needs.ENVIRONMENT:
        load(SET_UP)(needs)
