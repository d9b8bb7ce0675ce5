"""What can be followed of jobs: `job:ID` is one of them, `jobs` the lists as each person sees them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.jobs.api.bodies import job_detail_body
from clustercore.jobs.domain.bodies import job_body
from clustercore.jobs.domain.progress import JobProgress
from clustercore.jobs.fragments import job_parts, list_parts
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.change_fingerprint import activity_now, last_event_id, pulses
from clustercore.jobs.selectors.job_lists import failures, open_jobs, recent_jobs
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.units import (
    attempts_by_job,
    last_attempts_at,
    latest_events,
    pieces_by_job,
    window_of,
)
from clustercore.jobs.selectors.visibility import visible_jobs
from clustercore.live.domain.topics import Facts, Known, State, Topic
from clustercore.live.domain.viewers import viewer_of
from clustercore.nodes.selectors import node_colours

EVENTS = 100
RENAMED_SECONDS = 5.0
"""How old the jobs that are over may look: giving one another title or sharing it is no event."""
LISTS_SECONDS = 0.25
"""Between two looks at the lists: they are of all jobs, whatever one of them does."""


def _may_follow(identity: Identity, key: str) -> bool:
    # Only the plain spelling of a number: one job, one key.
    if not (key.isascii() and key.isdigit() and len(key) < 19 and str(int(key)) == key):
        return False
    return visible_jobs(identity).filter(pk=int(key)).exists()


def _load_jobs(known: Known) -> Mapping[str, Facts]:
    """One query while nothing changes; what changed is read in full, in a fixed number more."""
    now = pulses([int(key) for key in known])
    same = {key: facts for key, facts in known.items() if facts is not None and now.get(int(key)) == facts["pulse"]}
    changed = [job_id for job_id in now if str(job_id) not in same]
    return {**same, **(_read(changed, now) if changed else {})}


def _read(ids: Sequence[int], now: Mapping[int, str]) -> Mapping[str, Facts]:
    """A wide job is read by itself, and only in part: a few queries more for each."""
    jobs = job_progress(Job.objects.filter(pk__in=list(ids)), with_shares=True)
    narrow = [job for job in jobs if not job.is_wide]
    colours = node_colours()
    pieces, attempts = pieces_by_job(narrow), attempts_by_job([job.id for job in narrow])
    events = latest_events(ids, EVENTS)
    return {
        str(job.id): {
            "pulse": now[job.id],
            "job": job,
            "colours": colours,
            "events": events.get(job.id, []),
            **(
                _window(job)
                if job.is_wide
                else {"pieces": pieces.get(job.id, []), "attempts": attempts.get(job.id, [])}
            ),
        }
        for job in jobs
    }


def _window(job: JobProgress) -> Facts:
    window = window_of(job)
    return {"window": window, "attempts": last_attempts_at(window.ids).get(job.id, [])}


def _job_state(_key: str, facts: Facts) -> State:
    return job_detail_body(facts["job"])


def _may_see_lists(identity: Identity, key: str) -> bool:
    return key == "" and identity.may(Permission.VIEW)


@dataclass(frozen=True, slots=True)
class _ReadAt:
    """When the jobs that are over were last read, and what had happened by then. Time alone is no change."""

    event: int = field(compare=False)
    at: float = field(compare=False)

    def is_good(self, event: int) -> bool:
        return self.event == event and time.monotonic() < self.at + RENAMED_SECONDS


def _load_lists(known: Known) -> Mapping[str, Facts]:
    """A fixed number of queries for each person who may see other jobs than the others; administrators are one."""
    event = last_event_id()
    found: dict[str, Facts] = {}
    of_all: Facts | None = None
    for key, facts in known.items():
        identity, _ = viewer_of(key)
        if not identity.may(Permission.ADMINISTER):
            found[key] = _lists_of(identity, facts, event)
            continue
        if of_all is None:
            of_all = _lists_of(identity, facts, event)
        found[key] = of_all
    return found


def _lists_of(identity: Identity, facts: Facts | None, event: int) -> Facts:
    """What runs is read each time; what is over, of which there may be thousands, when something has happened."""
    jobs = visible_jobs(identity)
    if facts is not None and facts["read"].is_good(event):
        return {**facts, "open": open_jobs(jobs)}
    read = _ReadAt(event, time.monotonic())
    return {"read": read, "failures": failures(jobs), "open": open_jobs(jobs), "recent": recent_jobs(jobs)}


def _list_state(_key: str, facts: Facts) -> State:
    return {
        "open": [job_body(job) for job in facts["open"].rows],
        "more_open": facts["open"].more,
        "recent": [job_body(job) for job in facts["recent"]],
        "causes": [asdict(cause) for cause in facts["failures"].causes],
    }


JOB = Topic(
    name="job",
    allowed=_may_follow,
    load=_load_jobs,
    state=_job_state,
    parts=job_parts,
    activity=activity_now,
    concerns=lambda key, jobs: int(key) in jobs,
)
JOBS = Topic(
    name="jobs",
    allowed=_may_see_lists,
    load=_load_lists,
    state=_list_state,
    parts=list_parts,
    activity=activity_now,
    every=LISTS_SECONDS,
    concerns=lambda _key, _jobs: True,
    per_identity=True,
)
