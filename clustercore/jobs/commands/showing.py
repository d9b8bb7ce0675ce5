"""`clustercore jobs` and `clustercore job`: to look at them, without what changes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from rich.text import Text
from typer import Argument, Option

from clustercore.jobs.commands.reading import (
    jobs_now,
    labels_of,
    latest_jobs,
    notes_of,
    require_jobs,
    result_command_of,
    units_after,
)
from clustercore.jobs.commands.rendering import job_details, jobs_table, units_table
from clustercore.jobs.commands.watching import StoppedWatching, say_how_to_go_on, watch
from clustercore.jobs.domain.bodies import job_body, progress_body, unit_body
from clustercore.jobs.domain.lifecycle import JobState, UnitState
from clustercore.jobs.domain.progress import EventLine, JobProgress
from clustercore.jobs.selectors.units import latest_events
from clustercore.terminal.adapters.console import output, remark, write_json
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.services.program import cluster

MOST_UNITS = 200
MOST_EVENTS = 30
JsonOption = Annotated[bool, Option("--json", help="For a script: as the API says it.")]


def jobs(
    state: Annotated[str | None, Option(help=f"Only these: {', '.join(JobState)}.")] = None,
    limit: Annotated[int, Option("--limit", "-n", min=1, max=10_000, help="How many, newest first.")] = 30,
    as_json: JsonOption = False,
) -> int:
    """List jobs, newest first, with how far they are and why one waits.

    Examples:

      clustercore jobs

      clustercore jobs --state failed --json
    """
    _require_one_of("--state", state, list(JobState))
    with cluster():
        found = latest_jobs(state, limit)
    if as_json:
        write_json([job_body(job) for job in found])
    else:
        output().print(jobs_table(found))
    return ExitCode.DONE


def job(
    job_id: Annotated[int, Argument(metavar="ID", min=1)],
    follow: Annotated[bool, Option("--watch", "-w", help="Follow it until it is over.")] = False,
    units: Annotated[bool, Option("--units", "-u", help="Its units: state, tries, node, rung, speed.")] = False,
    state: Annotated[str | None, Option(help=f"Of its units only these: {', '.join(UnitState)}.")] = None,
    after: Annotated[int, Option(min=0, help="Of its units those with a number above this one.")] = 0,
    limit: Annotated[int, Option("--limit", "-n", min=1, max=10_000, help="So many units.")] = MOST_UNITS,
    events: Annotated[int, Option(min=0, max=10_000, help="So many lines of its story, the newest.")] = MOST_EVENTS,
    as_json: JsonOption = False,
) -> int:
    """Show one job: how far it is, which nodes and models serve it, and its story.

    Examples:

      clustercore job 7 --watch

      clustercore job 7 --units

      clustercore job 7 --units --state failed --limit 1000

    Exit codes: 0, or with --watch 1 if the job failed or has gaps; 2 if there is no such job.
    """
    _require_one_of("--state", state, list(UnitState))
    with cluster():
        require_jobs([job_id])
        if follow:
            try:
                watch([job_id])
            except StoppedWatching:
                say_how_to_go_on([job_id], result_command_of(job_id))
                return ExitCode.INTERRUPTED
        [found] = jobs_now([job_id])
        story = latest_events([job_id], events).get(job_id, []) if events else []
        if as_json:
            _write(found, story, after, limit, state)
        else:
            output().print(job_details(found, story))
        if units and not as_json:
            _show_units(found, after, limit, state)
    return ExitCode.FAILED if follow and (found.state != "done" or found.gaps) else ExitCode.DONE


def _show_units(job: JobProgress, after: int, limit: int, state: str | None) -> None:
    shown, more_after = units_after(job, after, limit, state)
    output().print(Text())
    output().print(units_table(job, shown, labels_of(job, shown)))
    if more_after is not None:
        of_state = f" --state {state}" if state else ""
        remark(f"There are more: clustercore job {job.id} --units{of_state} --after {more_after}", "dim")


def _write(job: JobProgress, story: Sequence[EventLine], after: int, limit: int, state: str | None) -> None:
    shown, more_after = units_after(job, after, limit, state)
    labels = labels_of(job, shown)
    listed = [{**unit_body(unit), "part": labels.get(unit.id, "")} for unit in shown]
    page = {"results": listed, "next_after": more_after}
    notes = notes_of([job.id]).get(job.id, [])
    write_json({**progress_body(job), "notes": notes, "unit_page": page, "events": [asdict(one) for one in story]})


def _require_one_of(option: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise CommandError(f"{option}: {value!r} is none of {', '.join(known)}", ExitCode.USAGE)
