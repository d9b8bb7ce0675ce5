"""`clustercore nodes`: which machines there are, what they can do, and why one does not work."""

from __future__ import annotations

import time
from typing import Annotated

from django.db import transaction
from rich.live import Live
from typer import Argument, Context, Option, Typer

from clustercore.access.adapters.account import account
from clustercore.access.services.audit import record
from clustercore.nodes import services
from clustercore.nodes.commands.rendering import nodes_table
from clustercore.nodes.domain.bodies import node_detail_body
from clustercore.nodes.selectors import node_statuses
from clustercore.terminal.adapters.console import output, say, write_json
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.services.program import cluster

WATCH_SECONDS = 1.0
nodes = Typer(invoke_without_command=True, rich_markup_mode=None)
Name = Annotated[str, Argument(help="As `clustercore nodes` shows it.")]


@nodes.callback()
def list_nodes(
    context: Context,
    as_json: Annotated[bool, Option("--json", help="For a script: as the API says it.")] = False,
    follow: Annotated[bool, Option("--watch", "-w", help="Look again every second, until Ctrl-C.")] = False,
) -> int | None:
    """List the nodes: state and its reason, machine, models with their rung and self-test.

    Examples:

      clustercore nodes --watch

      clustercore nodes drain old-laptop       finish what it has, take nothing new

      clustercore nodes undrain old-laptop

      clustercore nodes rm old-laptop          once it is off for good
    """
    if context.invoked_subcommand is not None:
        return None
    with cluster():
        if as_json:
            write_json([node_detail_body(node) for node in node_statuses()])
        elif follow:
            _follow()
        else:
            output().print(nodes_table(node_statuses()))
    return ExitCode.DONE


@nodes.command()
def drain(name: Name) -> int:
    """Let a node finish what it has and take nothing new, until it is undrained.

    Examples:

      clustercore nodes drain old-laptop
    """
    return _set(name, drained=True)


@nodes.command()
def undrain(name: Name) -> int:
    """Let a drained node work again.

    Examples:

      clustercore nodes undrain old-laptop
    """
    return _set(name, drained=False)


@nodes.command("rm")
def remove(name: Name) -> int:
    """Forget a node that is offline; what it did stays told with its jobs. Should it come back, it joins anew.

    Examples:

      clustercore nodes rm old-laptop
    """
    with cluster():
        try:
            with transaction.atomic():
                known = services.forget(name)
                if known:
                    record(account(), "nodes.forget", f"node {name}")
        except services.StillThere as error:
            raise CommandError(str(error), ExitCode.FAILED) from None
    _require(known, name)
    say(f"node {name}: forgotten")
    return ExitCode.DONE


def _set(name: str, *, drained: bool) -> int:
    with cluster(), transaction.atomic():
        known = services.drain(name) if drained else services.undrain(name)
        if known:
            record(account(), "nodes.drain" if drained else "nodes.undrain", f"node {name}")
    _require(known, name)
    say(f"node {name}: {'drained; it finishes what it has' if drained else 'works again'}")
    return ExitCode.DONE


def _require(known: bool, name: str) -> None:
    if not known:
        raise CommandError(f"there is no node {name!r}; `clustercore nodes` lists them", ExitCode.USAGE)


def _follow() -> None:
    with Live(nodes_table(node_statuses()), console=output(), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(nodes_table(node_statuses()), refresh=True)
