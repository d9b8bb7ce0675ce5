"""`clustercore submit`: a job of any kind, by what the kind says may be asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from clustercore.access.adapters.account import account
from clustercore.jobs.commands.watching import StoppedWatching, say_how_to_go_on, watch
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.domain.kinds import JobKind, kinds
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.presenting import result_of
from clustercore.jobs.services.asked import HIGHEST_PRIORITY, LOWEST_PRIORITY, Options, request_for
from clustercore.jobs.services.sent_files import file_at
from clustercore.jobs.services.submit import BacklogFull, KeyReused, submit
from clustercore.terminal.adapters.console import complain, write_json
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import printable
from clustercore.terminal.services.program import cluster

DEFAULTS = Options()

KindArgument = Annotated[str, Argument(help="Which kind of job.")]
FileArgument = Annotated[Path | None, Argument(help="What it is about, where it is about a file.")]
SaidOption = Annotated[list[str] | None, Option("--set", metavar="NAME=VALUE", help="What the kind asks; repeatable.")]
PriorityOption = Annotated[int, Option(min=LOWEST_PRIORITY, max=HIGHEST_PRIORITY, help="Higher goes first.")]
NoWaitOption = Annotated[bool, Option("--no-wait", help="Print the job's number and go.")]


def submit_job(
    kind: KindArgument,
    file: FileArgument = None,
    said: SaidOption = None,
    title: str = "",
    priority: PriorityOption = 0,
    quality: str = "normal",
    engine: str = "",
    no_wait: NoWaitOption = False,
) -> int:
    """Ask for a job of any kind, and print its result as JSON.

    Ctrl-C stops watching, not the work.

    Examples:

      clustercore submit lines text.txt --set skip_empty=true

    Exit codes: 0 done, 1 failed, 2 bad input, 3 cluster not reachable, 130 stopped watching.
    """
    options = Options(title=title, priority=priority, quality=quality, engine=engine)
    return ask(_kind_named(kind), file, _said(said or []), options, no_wait=no_wait)


def ask(
    kind: JobKind,
    file: Path | None,
    said: Mapping[str, Any],
    options: Options = DEFAULTS,
    *,
    no_wait: bool = False,
) -> int:
    """Submits a job of a kind, waits for it and prints its result; returns the exit code. For rooms' own commands."""
    with cluster():
        job = _submitted(kind, file, said, options)
        if no_wait:
            sys.stdout.write(f"{job.pk}\n")
            return ExitCode.DONE
        try:
            [found] = watch([job.pk])
        except StoppedWatching:
            say_how_to_go_on([job.pk])
            return ExitCode.INTERRUPTED
        if found.state != "done":
            complain(f"job {job.pk} {found.state}: {printable(found.error)}")
            return ExitCode.FAILED
        write_json(result_of(job.pk))
        return ExitCode.DONE


def _submitted(kind: JobKind, file: Path | None, said: Mapping[str, Any], options: Options) -> Job:
    try:
        sent = file_at(file) if file is not None else None
        return submit(account(), request_for(kind, said, options, sent), sent)[0]
    except InvalidRequest as error:
        raise CommandError(printable(str(error)), ExitCode.USAGE) from error
    except (BacklogFull, KeyReused) as error:
        raise CommandError(str(error)) from error


def _kind_named(name: str) -> JobKind:
    asked_here = {kind.name: kind for kind in kinds() if kind.parameters is not None}
    if name not in asked_here:
        known = ", ".join(sorted(asked_here)) or "none"
        raise CommandError(f"no kind {printable(name, 40)!r} is asked for here; there is: {known}", ExitCode.USAGE)
    return asked_here[name]


def _said(words: Sequence[str]) -> dict[str, str]:
    for word in words:
        if "=" not in word:
            raise CommandError(f"--set {printable(word, 40)}: NAME=VALUE is wanted", ExitCode.USAGE)
    return {name: value for name, _, value in (word.partition("=") for word in words)}
