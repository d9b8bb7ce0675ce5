"""What `up` says once it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

import clustercore
from clustercore.nodes.adapters.own_wheel import own_wheel
from clustercore.nodes.domain.joining import INSTALL_FROM_CLONE, and_start, join_command
from clustercore.project.command_line.commands import commands


@dataclass
class UpState:
    """What a running `up` notes of itself, for `down`, a second `up` and its own screen."""

    pid: int
    phase: str
    data_dir: str
    web_url: str = ""
    nodes: list[str] = field(default_factory=list)
    embedded: bool = True
    setup_path: str = ""
    """The path of the link that makes the first administrator; empty where there is one."""
    public_url: str = ""
    """What other machines call the web process; empty without `--listen`."""
    listens_on: str = ""
    listen_asked: str = ""
    database_url: str = ""
    redis_url: str = ""


SHOWN_ELSEWHERE = "How to sign in first, and how other machines join: type `clustercore up` in a terminal."


def up_screen(
    state: UpState, *, already: bool = False, detached_log: str = "", for_a_log: bool = False
) -> RenderableType:
    """What runs, where, and what to type next; passwords and links that sign in are for eyes, not for a log."""
    facts = facts_table()
    servers = "built-in PostgreSQL and Redis, private to this machine" if state.embedded else "as the URLs say"
    facts.add_row("servers", Text(servers))
    facts.add_row("web", Text(f"{state.web_url}/" + (f" and {state.public_url}/" if state.public_url else "")))
    facts.add_row("nodes", Text(", ".join(state.nodes) or "none here (--no-node)"))
    facts.add_row("data", Text(state.data_dir))
    if detached_log:
        facts.add_row("log", Text(detached_log))
    for command in commands():
        if command.example:
            facts.add_row("try", Text(command.example, "bold"))
    detached = already or bool(detached_log)
    facts.add_row("stop", Text("clustercore down" if detached else "Ctrl-C, or `clustercore down`", "bold"))
    title = f"clustercore {clustercore.__version__} is up" + (" already" if already else "")
    secret = [Text(SHOWN_ELSEWHERE, "dim")] if for_a_log else [*setup_link(state), *joining(state)]
    return Group(Text(title, "bold green"), facts, *secret)


def setup_link(state: UpState) -> list[RenderableType]:
    """How to become the first administrator, while there is none; on one line, so that it can be copied."""
    if not state.setup_path:
        return []
    address = f"{state.public_url or state.web_url}{state.setup_path}"
    return [
        Text("\nNobody can sign in yet. Open this link, once, to become the administrator:", "yellow"),
        Text(address, "bold", no_wrap=True, overflow="ignore"),
    ]


def joining(state: UpState) -> list[RenderableType]:
    """What to type on other machines, or how to let them join."""
    if not state.listens_on:
        return [Text("Other machines: stop, and start again with --listen ADDRESS.", "dim")]
    where, line = _join_line(state)
    return [
        Text(f"\nOther machines join at {state.listens_on}. {where} (Python 3.11 or newer):", "bold"),
        Text(line, no_wrap=True, overflow="ignore"),
        Text("Where clustercore is installed already (on Windows: `set NAME=value` in place of `export`):", "bold"),
        Text("\n".join(node_commands(state.database_url, state.redis_url)), no_wrap=True, overflow="ignore"),
        Text(
            "These lines hold passwords, and traffic on this port is NOT encrypted until joining with certificates "
            "exists:\nuse it in a network that you trust, or through a VPN or an SSH tunnel.",
            "yellow",
        ),
    ]


def _join_line(state: UpState) -> tuple[str, str]:
    """Returns what to do with the line, and the line."""
    try:
        wheel = own_wheel()
    except PackageNotFoundError:
        return "Type there, in a clone of this version", and_start(
            INSTALL_FROM_CLONE, state.database_url, state.redis_url
        )
    address = f"{state.public_url}/install/{wheel.name}"
    line = join_command(address, wheel.sha256, state.database_url, state.redis_url)
    return "Paste this one line there", line


def node_commands(database_url: str, redis_url: str) -> list[str]:
    """The lines that make another machine a node (on Windows: `set NAME=value` in place of `export`)."""
    return [f"export DATABASE_URL='{database_url}'", f"export REDIS_URL='{redis_url}'", "clustercore node"]


def facts_table() -> Table:
    """Two columns without lines: a word, and what it is."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", justify="right", min_width=8)
    table.add_column(overflow="fold")
    return table
