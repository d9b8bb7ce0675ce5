"""All commands in one application, in the order in which a person meets them; one is imported when it is typed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from typer import Context, Exit, Option, Typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from clustercore.config.adapters.plugins import load
from clustercore.project.command_line.commands import Entry, Needs, commands
from clustercore.project.command_line.version import version

Prepare = Callable[[Needs], None]
"""Sets up what a command needs before it is imported; the object of the application's context."""

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "markdown",
    "context_settings": {"help_option_names": ["--help", "-h"]},
}


class ListedCommands(TyperGroup):
    """A group that lists its commands by what `commands` says of them, and imports the one that was typed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Returns the names, in order."""
        return [entry.name for entry in commands()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Returns what a list shows of a command; None for a name that is none."""
        entry = _named(cmd_name)
        return entry and TyperCommand(
            entry.name, help=entry.summary, rich_help_panel=entry.panel, rich_markup_mode="markdown"
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Returns the command that was typed, loaded, as click does: its name, itself and the words after it."""
        name, _, rest = super().resolve_command(ctx, args)
        entry = _named(str(name))
        if entry is None:
            raise LookupError(f"click found a command that is none: {name!r}")
        with _collecting_nothing():
            prepare: Prepare | None = ctx.obj
            if prepare is not None:
                prepare(entry.needs)
            return name, loaded(entry), rest


def _named(name: str) -> Entry | None:
    return next((entry for entry in commands() if entry.name == name), None)


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Imports make next to no garbage, and looking for it between them took an eighth of a command's start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def loaded(entry: Entry) -> Any:
    """Imports a command and returns it as click runs it."""
    holder = Typer(**_SETTINGS)
    holder.callback()(_holder)
    found = load(entry.path)
    if isinstance(found, Typer):
        holder.add_typer(found, name=entry.name)
    else:
        holder.command(entry.name)(found)
    group: Any = get_command(holder)
    return group.commands[entry.name]


def _holder() -> None:
    """Makes a group of an application with a single command."""


def _say_version(asked: bool) -> None:
    if asked:
        raise Exit(version())


application = Typer(cls=ListedCommands, no_args_is_help=True, **_SETTINGS)


@application.callback()
def options(
    context: Context,
    data_dir: Annotated[str | None, Option("--data-dir", metavar="DIR", help="Where everything lies.")] = None,
    debug: Annotated[bool, Option("--debug", help="Show tracebacks (so does CLUSTERCORE_DEBUG=true).")] = False,
    show_version: Annotated[
        bool, Option("--version", is_eager=True, callback=_say_version, help="Say which version this is.")
    ] = False,
) -> None:
    """Private speech, language and data work on every machine you own, at once."""
    # The first two are taken from the command line before this application runs; here they are named for --help.
    del context, data_dir, debug, show_version
