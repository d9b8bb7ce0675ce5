"""`clustercore secrets`: what the hub must know and nobody may read, such as a token for downloads."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

from rich.table import Table
from rich.text import Text
from typer import Argument, Context, Option, Typer

from clustercore.access.adapters.account import account
from clustercore.access.domain.encryption import LONGEST_VALUE, SecretRefused
from clustercore.access.services import secret_store
from clustercore.nodes.domain.model_catalogue import DOWNLOAD_TOKEN
from clustercore.project.command_line.cluster import cluster
from clustercore.terminal.adapters.console import output, say, write_json
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import printable

USED = {DOWNLOAD_TOKEN: "sent by `clustercore models pull` to the host that gives models to those who have a token"}
"""Every secret that the product uses, and what for."""

secrets = Typer(invoke_without_command=True, rich_markup_mode=None)
JsonOption = Annotated[bool, Option("--json", help="For a script.")]
Name = Annotated[str, Argument(help="As `clustercore secrets list` shows it.")]


@secrets.callback()
def overview(context: Context) -> int | None:
    """Keep what the hub must know and nobody may read: encrypted, and never shown again.

    The value is typed unseen, or comes on standard input; it never stands on the command line, where others on this
    machine could read it. The keys lie in secrets/settings.keys of the data directory: a backup of the database alone
    opens nothing, and without that file nobody can read the secrets any more.

    Examples:

      clustercore secrets set model-download-token

      clustercore secrets set model-download-token < token.txt

      clustercore secrets rotate
    """
    return list_secrets() if context.invoked_subcommand is None else None


@secrets.command("list")
def list_secrets(as_json: JsonOption = False) -> int:
    """List which secrets are set, and which could be; never what they are.

    Examples:

      clustercore secrets list --json
    """
    with cluster():
        notes = {note.name: note for note in secret_store.names()}
    if as_json:
        write_json([{"name": note.name, "updated": note.updated, "by": note.updated_by} for note in notes.values()])
        return ExitCode.DONE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "value", "set (UTC)", "by", "what for"):
        table.add_column(heading, overflow="fold")
    for name in sorted(USED.keys() | notes.keys()):
        note = notes.get(name)
        shown = ("•••", f"{note.updated:%Y-%m-%d %H:%M}", printable(note.updated_by)) if note else ("not set", "", "")
        table.add_row(*(Text(word) for word in (name, *shown, USED.get(name, "nothing uses it"))))
    output().print(table)
    return ExitCode.DONE


@secrets.command("set")
def set_secret(name: Name) -> int:
    """Keep a secret in place of the one that had the name.

    Examples:

      clustercore secrets set model-download-token < token.txt
    """
    if name not in USED:
        raise CommandError(f"nothing uses a secret {name!r}; there is {', '.join(USED)}", ExitCode.USAGE)
    value = _value_of(name)
    try:
        with cluster():
            secret_store.put(account(), name, value)
    except SecretRefused as refused:
        raise CommandError(str(refused), ExitCode.USAGE) from refused
    except secret_store.SecretStoreLocked as locked:
        raise CommandError(str(locked)) from locked
    say(f"{name}: set")
    return ExitCode.DONE


@secrets.command("rm")
def remove_secrets(names: Annotated[list[str], Argument(metavar="NAME…")]) -> int:
    """Forget secrets; this works without their keys too.

    Examples:

      clustercore secrets rm model-download-token
    """
    with cluster():
        missing = [name for name in names if not secret_store.remove(account(), name)]
    for name in names:
        if name not in missing:
            say(f"{name}: removed")
    if missing:
        raise CommandError(f"not set: {', '.join(missing)}; `clustercore secrets list` says what is", ExitCode.USAGE)
    return ExitCode.DONE


@secrets.command()
def rotate() -> int:
    """Encrypt every secret with a new key, and forget the old ones.

    Examples:

      clustercore secrets rotate
    """
    try:
        with cluster():
            count = secret_store.rotate(account())
    except secret_store.SecretStoreLocked as locked:
        raise CommandError(str(locked)) from locked
    said = "1 secret is" if count == 1 else f"{count} secrets are"
    say(f"{said} encrypted with a new key, and the old ones are gone: back {secret_store.key_file().path} up again")
    return ExitCode.DONE


def _value_of(name: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{name} (not shown): ")
    return sys.stdin.read(LONGEST_VALUE + 2)
