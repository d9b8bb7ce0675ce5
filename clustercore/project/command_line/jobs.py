"""`clustercore jobs` and `clustercore job`: to look at them, without what changes one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from rich.console import Group
from rich.text import Text
from typer import Argument, Option

from clustercore.jobs.domain.lifecycle import JobState
from clustercore.project.command_line.cluster import cluster
from clustercore.project.command_line.console import CommandError, ExitCode, output, write_json
from clustercore.project.command_line.ledger import (
    events_of,
    jobs_now,
    latest_jobs,
    require_jobs,
    units_of,
)
from clustercore.project.command_line.rendering import job_details, jobs_table, units_table
from clustercore.project.command_line.watching import StoppedWatching, say_how_to_go_on, watch

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

    Exit codes: 0, or with --watch 1 if the job failed or has gaps; 2 if there is no such job.
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
    return ExitCode.FAILED if follow and (found.state != "done" or found.gaps) else ExitCode.DONE
