"""Keeping the floors of jobs: the one place that writes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from clustercore.jobs.domain.floor import WAITED_AS_ASKED, FloorKept, FloorSeen, floor_fell, next_floor
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.floors import floors_seen
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.mishaps import HUB_AWAY
from clustercore.jobs.services.ready import lock_ready
from clustercore.jobs.services.steps import take_each
from clustercore.jobs.services.telling import job_changed

SLICE = 500
"""Jobs that are written in one transaction: thousands may wait for the same node."""


def keep_floors(wait_seconds: float, *, may_fall: bool) -> None:
    """Decides floors that are not decided, notes which nobody reaches, and lets those fall that waited long enough."""
    alike: dict[tuple[int | None, FloorKept, str], list[int]] = defaultdict(list)
    seen_by_job = {seen.job_id: seen for seen in floors_seen()}

    def decide_floor(job_id: int) -> None:
        seen = seen_by_job[job_id]
        kept = next_floor(seen, wait_seconds, may_fall=may_fall)
        if (kept.floor, kept.is_unserved) != (seen.floor, seen.unserved_seconds is not None):
            alike[seen.floor, kept, _told(seen, kept, wait_seconds)].append(job_id)

    take_each(decide_floor, seen_by_job)
    for (before, kept, text), job_ids in alike.items():
        for at in range(0, len(job_ids), SLICE):
            _write_slice(job_ids[at : at + SLICE], before, kept, text)


def _write_slice(job_ids: Sequence[int], before: int | None, kept: FloorKept, text: str) -> None:
    """All at once; where that cannot be done, job by job, so that one of them keeps no other from its floor."""
    try:
        _write(job_ids, before, kept, text)
    except HUB_AWAY:
        raise
    except Exception:

        def write_floor(job_id: int) -> None:
            _write([job_id], before, kept, text)

        take_each(write_floor, job_ids)


def _told(seen: FloorSeen, kept: FloorKept, wait_seconds: float) -> str:
    if seen.floor is None or kept.floor is None or kept.floor >= seen.floor:
        return ""
    return WAITED_AS_ASKED if seen.any_serves else floor_fell(seen.floor, kept.floor, wait_seconds)


@transaction.atomic
def _write(job_ids: Sequence[int], before: int | None, kept: FloorKept, text: str) -> None:
    """Unless another node wrote it meanwhile; a job that somebody else has in hand is left to the next look."""
    unchanged = Job.objects.filter(pk__in=job_ids, floor=before).order_by("pk")
    mine = list(unchanged.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True))
    lock_ready(mine)
    since = Coalesce(F("floor_unserved_since"), Now()) if kept.is_unserved else None
    Job.objects.filter(pk__in=mine).update(floor=kept.floor, floor_unserved_since=since)
    for job_id in mine:
        job_changed(job_id)
        if text:
            record_event(job_id, "floor", text)
