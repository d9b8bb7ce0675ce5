"""From the words of a command line to the variables that the settings are read from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clustercore.terminal.domain.endings import CommandError, ExitCode

if TYPE_CHECKING:  # A list of commands is shown without reading the settings.
    from clustercore.config.environment import Environment

DEMO_DIRECTORY = "demo"
DEMO_NODES = 2
_WITH_VALUE = "--data-dir"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was typed, without the options that every command takes."""

    words: tuple[str, ...]
    data_dir: str | None = None
    debug: bool = False

    @property
    def command(self) -> str:
        """The first word that is not an option; empty if there is none."""
        return next((word for word in self.words if not word.startswith("-")), "")

    def value_of(self, option: str) -> str | None:
        """What `option` was given, as `--option value` or `--option=value`; the last one counts."""
        found = None
        for position, word in enumerate(self.words):
            if word == "--":
                break
            if word == option and position + 1 < len(self.words):
                found = self.words[position + 1]
            elif word.startswith(f"{option}="):
                found = word.partition("=")[2]
        return found


def parse_command_line(words: Sequence[str]) -> CommandLine:
    """Takes out `--data-dir` and `--debug`, wherever they stand before `--`."""
    rest: list[str] = []
    data_dir: str | None = None
    debug = False
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            rest += [word, *waiting]
        elif word == "--debug":
            debug = True
        elif word == _WITH_VALUE:
            data_dir = next(waiting, "")
        elif word.startswith(f"{_WITH_VALUE}="):
            data_dir = word.partition("=")[2]
        else:
            rest.append(word)
    return CommandLine(tuple(rest), data_dir, debug)


def data_directory_variable(line: CommandLine) -> dict[str, str | None]:
    """The data directory that was typed, as a variable. Raises CommandError when its value is missing."""
    if line.data_dir is None:
        return {}
    if not line.data_dir:
        raise CommandError("--data-dir needs a directory", ExitCode.USAGE)
    return {"CLUSTERCORE_DATA_DIR": str(Path(line.data_dir).expanduser().absolute())}


def variables_of(line: CommandLine, settings: Environment) -> dict[str, str | None]:
    """What the command changes in its own environment; `settings` are those without it."""
    if line.command == "demo":
        return {
            "CLUSTERCORE_DATA_DIR": str(settings.data_dir / DEMO_DIRECTORY),
            "CLUSTERCORE_MODELS_DIR": str(settings.models_directory),
            "DATABASE_URL": None,
            "REDIS_URL": None,
            "CLUSTERCORE_HUB_URL": None,
            # Each of its nodes would take all processors of the machine for its own.
            "CLUSTERCORE_ENGINE_THREADS": str(settings.engine_threads or max(1, (os.cpu_count() or 1) // DEMO_NODES)),
        }
    if line.command == "node":
        typed = {
            "CLUSTERCORE_NODE_NAME": line.value_of("--name"),
            "CLUSTERCORE_SLOTS": line.value_of("--slots"),
        }
        return {name: value for name, value in typed.items() if value is not None}
    return {}
