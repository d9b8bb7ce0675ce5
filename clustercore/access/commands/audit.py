"""`clustercore audit`: who did what, whether the log still says what was recorded, and notes of how far it goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from rich.text import Text
from typer import Context, Option, Typer

from clustercore.access.adapters.checkpoint_file import CheckpointDamaged, CheckpointFile, as_line
from clustercore.access.domain.audit_chain import Head, canonical_json, moment
from clustercore.access.models import AuditEntry
from clustercore.access.selectors import audit_entries
from clustercore.access.services.audit_checkpoints import checkpoint_file, note_checkpoint
from clustercore.access.services.audit_verification import verify_chain
from clustercore.terminal.adapters.console import output, remark, say, write_json
from clustercore.terminal.adapters.tables import table
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import printable, printable_path
from clustercore.terminal.services.program import cluster

audit = Typer(invoke_without_command=True, rich_markup_mode=None)
JsonOption = Annotated[bool, Option("--json", help="For a script.")]


@audit.callback()
def overview(context: Context) -> int | None:
    """Show who did what, and check that nobody changed the log afterwards.

    Each entry carries a digest of the one before it. The hub notes how far the log goes in
    audit/checkpoints.jsonl of its data directory: what is cut off or written anew does not agree with that. After
    you restored an older database yourself, move that file away, and type `clustercore audit checkpoint`.

    Examples:

      clustercore audit show --actor ada

      clustercore audit verify

      clustercore audit checkpoint >> /mnt/elsewhere/audit.jsonl

      clustercore audit verify --against /mnt/elsewhere/audit.jsonl
    """
    return show() if context.invoked_subcommand is None else None


@audit.command()
def show(
    actor: Annotated[str, Option(help="Only what this user did.")] = "",
    action: Annotated[str, Option(help="Only actions that begin so, as token or token.created.")] = "",
    target: Annotated[str, Option(help='Only what was done to this, as "job 7".')] = "",
    number: Annotated[int, Option("--number", "-n", min=1, max=10_000, help="So many, the newest first.")] = 50,
    as_json: JsonOption = False,
) -> int:
    """Show the newest entries.

    Examples:

      clustercore audit show --actor ada --action token --number 200
    """
    with cluster():
        entries = list(audit_entries(actor=actor, action=action, target=target)[:number])
    if as_json:
        write_json([_as_document(entry) for entry in entries])
        return ExitCode.DONE
    listed = table("#", "when (UTC)", "who", "did", "to", "more")
    for entry in entries:
        more = canonical_json(entry.detail) if entry.detail else ""
        words = (str(entry.seq), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.actor, entry.action, entry.target, more)
        listed.add_row(*(Text(printable(word)) for word in words))
    output().print(listed)
    return ExitCode.DONE


@audit.command()
def verify(
    against: Annotated[Path | None, Option(metavar="FILE", help="Checkpoints that you kept elsewhere.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Read the whole log and compare it with its digests and checkpoints. Exit code 1 where it was changed.

    Examples:

      clustercore audit verify --against /mnt/elsewhere/audit.jsonl
    """
    elsewhere = _kept_elsewhere(against) if against else []
    with cluster():
        report = verify_chain(elsewhere)
    if as_json:
        document = {"holds": report.holds, "entries": report.entries, "checkpoints": report.checkpoints}
        first_bad = report.found.seq if report.found is not None else None
        write_json({**document, "first_bad": first_bad, "message": report.message})
    elif report.holds:
        say(report.message)
        if report.checkpoints is None:
            remark(
                "Without them an end that was cut off cannot be seen. Verify on the hub, which keeps them.", "yellow"
            )
    if not report.holds:
        raise CommandError(report.message)
    return ExitCode.DONE


@audit.command()
def checkpoint() -> int:
    """Note how far the log goes, and print it: kept elsewhere, it shows what happens to the log from now on.

    Examples:

      clustercore audit checkpoint >> /mnt/elsewhere/audit.jsonl
    """
    file = checkpoint_file()
    if not file.is_kept:
        where = printable_path(file.folder)
        raise CommandError(f"checkpoints are kept at the hub, and not here (there is no {where})", ExitCode.USAGE)
    with cluster():
        head = note_checkpoint()
    if head is None:
        raise CommandError("the log is empty: there is nothing to note")
    sys.stdout.write(as_line(head) + "\n")
    return ExitCode.DONE


def _kept_elsewhere(path: Path) -> list[Head]:
    try:
        found, length = CheckpointFile(path).read()
    except CheckpointDamaged as damage:
        raise CommandError(str(damage), ExitCode.USAGE) from damage
    if not length:
        raise CommandError(f"{printable_path(path)} holds no checkpoints", ExitCode.USAGE)
    return found


def _as_document(entry: AuditEntry) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "at": moment(entry.at),
        "actor": entry.actor,
        "actor_id": entry.actor_id,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
        "digest": entry.digest,
    }
