"""What the commands show of the ledger, in few and cheap queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clustercore.config.adapters.plugins import load
from clustercore.jobs.domain.kinds import outline_of
from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.domain.progress import JobProgress, UnitProgress
from clustercore.jobs.models import Job, JobEvent
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.units import units_page
from clustercore.nodes.selectors import working_nodes
from clustercore.terminal.domain.endings import CommandError, ExitCode

NO_NODE = "no node is taking work: start one with `clustercore node` (or see `clustercore nodes` for holds)"


def require_jobs(ids: Sequence[int]) -> None:
    """Raises CommandError that names the ids which are no job."""
    known = set(Job.objects.filter(pk__in=ids).values_list("pk", flat=True))
    missing = [str(one) for one in ids if one not in known]
    if missing:
        message = f"there is no job {', '.join(missing)}; `clustercore jobs` lists them"
        raise CommandError(message, ExitCode.USAGE)


def jobs_now(ids: Sequence[int]) -> list[JobProgress]:
    """Returns these jobs in full, in this order; what was removed meanwhile is left out. A handful of queries."""
    found = {job.id: job for job in job_progress(Job.objects.filter(pk__in=list(ids)), with_shares=True)}
    jobs = [found[one] for one in ids if one in found]
    return jobs if working_nodes().exists() else [_without_nodes(job) for job in jobs]


def _without_nodes(job: JobProgress) -> JobProgress:
    """Agents say why a job waits; where there is none, nobody has said it yet."""
    return job if job.is_over or job.waiting else replace(job, waiting=NO_NODE)


def result_command_of(job_id: int) -> str:
    """Returns what is typed, before the job's number, for its result; empty where its kind names nothing."""
    known = outline_of(Job.objects.values_list("kind", flat=True).get(pk=job_id))
    return known.result_command if known is not None else ""


def latest_jobs(state: str | None, limit: int) -> list[JobProgress]:
    """Returns the newest jobs first, without what each node did."""
    jobs = Job.objects.order_by("-id")
    if state is not None:
        jobs = jobs.filter(state=state)
    return job_progress(jobs[:limit])


def notes_of(ids: Sequence[int]) -> dict[int, list[str]]:
    """Returns what was odd about what each job was given, such as damage or a missing end. One query."""
    noted: dict[int, list[str]] = {}
    for event in JobEvent.objects.filter(job_id__in=list(ids), name=NOTE).order_by("id"):
        noted.setdefault(event.job_id, []).append(event.text)
    return noted


def units_after(
    job: JobProgress, after: int, limit: int, state: str | None = None
) -> tuple[list[UnitProgress], int | None]:
    """Returns up to `limit` units with a number above `after`, by stage, and after which number more follow.

    What waits for the others is there from the start, and would stand before them.
    """
    found = units_page(job.id, after, limit + 1, state=state or "")
    shown = found[:limit]
    known = outline_of(job.kind)
    places = {stage: place for place, stage in enumerate(known.stages)} if known is not None else {}
    ordered = sorted(shown, key=lambda unit: places.get(unit.stage, len(places)))
    return ordered, shown[-1].id if len(found) > limit else None


def labels_of(job: JobProgress, units: Sequence[UnitProgress]) -> dict[int, str]:
    """Returns which part of the job each unit is, as its kind says; a kind need not."""
    known = outline_of(job.kind)
    if known is None or not known.unit_labels:
        return {}
    labels: dict[int, str] = load(known.unit_labels)([unit.id for unit in units])
    return labels
