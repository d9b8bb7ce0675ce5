"""All commands in one application, in the order in which a person meets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from typer import Context, Option, Typer

import clustercore
from clustercore.project.command_line.audit import audit
from clustercore.project.command_line.console import ExitCode, say
from clustercore.project.command_line.demo import demo
from clustercore.project.command_line.doctor import doctor
from clustercore.project.command_line.exporting import export
from clustercore.project.command_line.jobs import cancel, job, jobs, pause, remove, resume, retry
from clustercore.project.command_line.node import node
from clustercore.project.command_line.nodes import nodes
from clustercore.project.command_line.people import tokens, users
from clustercore.project.command_line.stored_models import models
from clustercore.project.command_line.transcribe import transcribe
from clustercore.project.command_line.up import down, up
from clustercore.project.command_line.vault import secrets

FIRST = "Begin with these five"
JOBS = "Jobs"
MACHINES = "Machines"
PEOPLE = "People"

application = Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
)


@application.callback()
def options(
    context: Context,
    data_dir: Annotated[str | None, Option("--data-dir", metavar="DIR", help="Where everything lies.")] = None,
    debug: Annotated[bool, Option("--debug", help="Show tracebacks (so does CLUSTERCORE_DEBUG=true).")] = False,
) -> None:
    """Private speech, language and data work on every machine you own, at once."""
    # Both are taken from the command line before this application exists; here they are named for --help.
    del context, data_dir, debug


def version() -> int:
    """Say which version this is."""
    say(f"clustercore {clustercore.__version__}")
    return ExitCode.DONE


COMMANDS: tuple[tuple[str, tuple[Callable[..., int], ...]], ...] = (
    (FIRST, (demo, up, transcribe, jobs, doctor)),
    (JOBS, (job, export, cancel, pause, resume, retry)),
    (MACHINES, (down, node, version)),
)
for panel, commands in COMMANDS:
    for command in commands:
        application.command(rich_help_panel=panel)(command)
application.command("rm", rich_help_panel=JOBS)(remove)
application.add_typer(nodes, name="nodes", rich_help_panel=MACHINES)
application.add_typer(models, name="models", rich_help_panel=MACHINES)
application.add_typer(audit, name="audit", rich_help_panel=PEOPLE)
application.add_typer(users, name="users", rich_help_panel=PEOPLE)
application.add_typer(tokens, name="tokens", rich_help_panel=PEOPLE)
application.add_typer(secrets, name="secrets", rich_help_panel=PEOPLE)
