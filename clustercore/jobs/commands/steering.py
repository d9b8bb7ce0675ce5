"""`clustercore cancel`, `pause`, `resume`, `retry` and `rm`: what a person may do to jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

from django.db import transaction
from typer import Argument, Option, confirm

from clustercore.access.adapters.account import account
from clustercore.access.services.audit import record
from clustercore.jobs.commands.reading import jobs_now, require_jobs
from clustercore.jobs.services.control import (
    NotPossible,
    cancel_job,
    pause_job,
    remove_job,
    resume_job,
    retry_job,
)
from clustercore.terminal.adapters.console import complain, say
from clustercore.terminal.domain.endings import ExitCode
from clustercore.terminal.domain.humanize import counted, printable
from clustercore.terminal.services.program import cluster

Ids = Annotated[list[int], Argument(metavar="ID…", min=1, help="Job numbers, as `clustercore jobs` shows them.")]


def cancel(ids: Ids) -> int:
    """End jobs now; what is done stays, `clustercore retry` takes it up again.

    Examples:

      clustercore cancel 7 8

    Exit codes: 0; 1 if one is over already; 2 if one is no job: then none is ended.
    """
    return _for_each(ids, "cancel", cancel_job, "cancelled")


def pause(ids: Ids) -> int:
    """Let jobs take no further work; what runs goes on.

    Examples:

      clustercore pause 7

    Exit codes: 0; 1 if one cannot be paused now; 2 if one is no job: then none is.
    """
    return _for_each(ids, "pause", pause_job, "paused; `clustercore resume` lets it go on")


def resume(ids: Ids) -> int:
    """Let paused jobs go on.

    Examples:

      clustercore resume 7

    Exit codes: 0; 1 if one is not paused; 2 if one is no job: then none goes on.
    """
    return _for_each(ids, "resume", resume_job, "resumed")


def retry(ids: Ids) -> int:
    """Try again what failed or was cancelled; what is done stays done.

    Examples:

      clustercore retry 7

    Exit codes: 0; 1 if there is nothing to try again; 2 if one is no job: then none is tried again.
    """
    return _for_each(ids, "retry", retry_job, "queued again")


def remove(
    ids: Ids, yes: Annotated[bool, Option("--yes", "-y", help="Do not ask, on a terminal either.")] = False
) -> int:
    """Delete jobs that are over, with all that is theirs alone, here and on every node; exported files stay.

    On a terminal it asks first.

    Examples:

      clustercore rm 7 8

      clustercore rm 7 --yes

    Exit codes: 0; 1 if one is not over yet; 2 if one is no job: then none is removed.
    """
    if not yes and sys.stdin.isatty() and sys.stdout.isatty() and not _agreed(ids):
        say("Nothing was removed.")
        return ExitCode.DONE
    return _for_each(ids, "remove", remove_job, "removed")


def _agreed(ids: Sequence[int]) -> bool:
    with cluster():
        require_jobs(ids)
        found = jobs_now(list(dict.fromkeys(ids)))
    for job in found:
        say(f"job {job.id}: {printable(job.title, 60)} ({job.state})")
    return confirm(f"Remove {counted(len(found), 'job')} with what was sent, results and story?")


def _for_each(ids: Sequence[int], verb: str, action: Callable[[int], object], done: str) -> int:
    """Every id is tried; exit code 1 if one of them was refused. Raises CommandError, and does nothing, for no job."""
    code = ExitCode.DONE
    with cluster():
        require_jobs(ids)
        for one in ids:
            try:
                with transaction.atomic():
                    action(one)
                    record(account(), f"job.{verb}", f"job {one}")
                say(f"job {one}: {done}")
            except NotPossible as error:
                complain(str(error))
                code = ExitCode.FAILED
    return code
