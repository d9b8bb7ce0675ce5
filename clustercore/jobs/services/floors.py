"""Keeping the floors of jobs: the one place that writes them."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from clustercore.jobs.domain.floor import WAITED_AS_ASKED, FloorKept, FloorSeen, floor_fell, next_floor
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.floors import floors_seen
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.telling import job_changed


def keep_floors(wait_seconds: float, *, may_fall: bool) -> None:
    """Decides floors that are not decided, notes which nobody reaches, and lets those fall that waited long enough."""
    for seen in floors_seen():
        kept = next_floor(seen, wait_seconds, may_fall=may_fall)
        if (kept.floor, kept.is_unserved) != (seen.floor, seen.unserved_seconds is not None):
            _write(seen, kept, wait_seconds)


@transaction.atomic
def _write(seen: FloorSeen, kept: FloorKept, wait_seconds: float) -> None:
    """Unless another node wrote it meanwhile."""
    since = Coalesce(F("floor_unserved_since"), Now()) if kept.is_unserved else None
    unchanged = Job.objects.filter(pk=seen.job_id, floor=seen.floor)
    written = unchanged.update(floor=kept.floor, floor_unserved_since=since)
    job_changed(seen.job_id)
    if written and seen.floor is not None and kept.floor is not None and kept.floor < seen.floor:
        fell = WAITED_AS_ASKED if seen.any_serves else floor_fell(seen.floor, kept.floor, wait_seconds)
        record_event(seen.job_id, "floor", fell)
