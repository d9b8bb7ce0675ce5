"""`clustercore cancel`, `pause`, `resume`, `retry` and `rm`: what a person may do to jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

from django.db import transaction
from typer import Argument, Option, confirm

from clustercore.access.services.audit import record
from clustercore.jobs.services.control import (
    NotPossible,
    cancel_job,
    pause_job,
    remove_job,
    resume_job,
    retry_job,
)
from clustercore.project.command_line.cluster import account, cluster
from clustercore.project.command_line.console import ExitCode, complain, say
from clustercore.project.command_line.ledger import jobs_now, require_jobs
from clustercore.project.command_line.rendering import counted, printable

Ids = Annotated[list[int], Argument(metavar="ID…", min=1, help="Job numbers, as `clustercore jobs` shows them.")]


def cancel(ids: Ids) -> int:
    """End jobs now; what is done stays, `clustercore retry` takes it up again."""
    return _for_each(ids, "cancel", cancel_job, "cancelled")


def pause(ids: Ids) -> int:
    """Let jobs take no further work; what runs goes on."""
    return _for_each(ids, "pause", pause_job, "paused; `clustercore resume` lets it go on")


def resume(ids: Ids) -> int:
    """Let paused jobs go on."""
    return _for_each(ids, "resume", resume_job, "resumed")


def retry(ids: Ids) -> int:
    """Try again what failed or was cancelled; what is done stays done."""
    return _for_each(ids, "retry", retry_job, "queued again")


def remove(
    ids: Ids, yes: Annotated[bool, Option("--yes", "-y", help="Do not ask, on a terminal either.")] = False
) -> int:
    """Delete jobs that are over, with their recordings, texts and every node's copies; exported files stay.

    On a terminal it asks first.
    """
    if not yes and sys.stdin.isatty() and sys.stdout.isatty() and not _agreed(ids):
        say("Nothing was removed.")
        return ExitCode.DONE
    return _for_each(ids, "remove", remove_job, "removed", all_must_exist=True)


def _agreed(ids: Sequence[int]) -> bool:
    with cluster():
        require_jobs(ids)
        found = jobs_now(list(dict.fromkeys(ids)))
    for job in found:
        say(f"job {job.id}: {printable(job.title, 60)} ({job.state})")
    return confirm(f"Remove {counted(len(found), 'job')} with recordings and texts?")


def _for_each(
    ids: Sequence[int], verb: str, action: Callable[[int], object], done: str, *, all_must_exist: bool = False
) -> int:
    """Every id is tried; exit code 1 if one of them was refused. `all_must_exist` does nothing where one is unknown."""
    code = ExitCode.DONE
    with cluster():
        if all_must_exist:
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
