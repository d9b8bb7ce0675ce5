"""`clustercore jobs`, `job`, and what a person may do to a job."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

from django.db import transaction
from rich.console import Group
from rich.text import Text
from typer import Argument, Option, confirm

from clustercore.access.services.audit import record
from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.services.control import (
    NotPossible,
    cancel_job,
    pause_job,
    remove_job,
    resume_job,
    retry_job,
)
from clustercore.project.command_line.cluster import account, cluster
from clustercore.project.command_line.console import CommandError, ExitCode, complain, output, say, write_json
from clustercore.project.command_line.ledger import (
    events_of,
    jobs_now,
    latest_jobs,
    require_jobs,
    units_of,
)
from clustercore.project.command_line.rendering import counted, job_details, jobs_table, printable, units_table
from clustercore.project.command_line.watching import StoppedWatching, say_how_to_go_on, watch

Ids = Annotated[list[int], Argument(metavar="ID…", min=1, help="Job numbers, as `clustercore jobs` shows them.")]
JsonOption = Annotated[bool, Option("--json", help="For a script.")]


def jobs(
    state: Annotated[str | None, Option(help=f"Only these: {', '.join(JobState)}.")] = None,
    limit: Annotated[int, Option("--limit", "-n", min=1, help="How many, newest first.")] = 30,
    as_json: JsonOption = False,
) -> int:
    """List jobs, newest first, with how far they are and why one waits.

    Examples:

      clustercore jobs

      clustercore jobs --state failed --json
    """
    if state is not None and state not in list(JobState):
        raise CommandError(f"--state: {state!r} is none of {', '.join(JobState)}", ExitCode.USAGE)
    with cluster():
        found = latest_jobs(state, limit)
    if as_json:
        # What each node did is not counted for a list.
        listed = [asdict(job) for job in found]
        write_json([{name: value for name, value in job.items() if name != "shares"} for job in listed])
    else:
        output().print(jobs_table(found))
    return ExitCode.DONE


def job(
    job_id: Annotated[int, Argument(metavar="ID", min=1)],
    follow: Annotated[bool, Option("--watch", "-w", help="Follow it until it is over.")] = False,
    units: Annotated[
        bool, Option("--units", "-u", help="Every piece of work: state, tries, node, rung, speed.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Show one job: how far it is, which nodes and models serve it, and its story.

    Examples:

      clustercore job 7 --watch

      clustercore job 7 --units

    Exit codes: 0, or with --watch 1 if the job failed; 2 if there is no such job.
    """
    with cluster():
        require_jobs([job_id])
        if follow:
            try:
                watch([job_id])
            except StoppedWatching:
                say_how_to_go_on([job_id])
                return ExitCode.INTERRUPTED
        [found] = jobs_now([job_id])
        pieces = units_of(job_id) if units or as_json else []
        events = events_of(job_id)
    if as_json:
        listed = {"units": [asdict(one) for one in pieces], "events": [asdict(one) for one in events]}
        write_json({**asdict(found), **listed})
    else:
        output().print(job_details(found, events))
        if units:
            output().print(Group(Text(), units_table(pieces)))
    return ExitCode.FAILED if follow and found.state != "done" else ExitCode.DONE


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
