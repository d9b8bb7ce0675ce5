"""Which blobs the jobs of all kinds refer to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import Exists, OuterRef

from clustercore.blobs.selectors import settled_blobs
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.waiting import BLOB_MISSING
from clustercore.jobs.models import JobBlob


def referenced(sha256s: Collection[str]) -> set[str]:
    """Those of the hashes that a unit of any job refers to."""
    return set(JobBlob.objects.filter(sha256__in=sha256s).values_list("sha256", flat=True))


def awaited(job_id: int) -> set[str]:
    """The blobs that units of a job found missing and wait for."""
    waiting = JobBlob.objects.filter(job=job_id, unit__state=UnitState.HELD, unit__hold_reason=BLOB_MISSING)
    return set(waiting.values_list("sha256", flat=True))


def unreferenced(limit: int) -> Sequence[str]:
    """Blobs that no unit refers to and that nobody stored of late, `limit` of them at most."""
    references = JobBlob.objects.filter(sha256=OuterRef("sha256"))
    return list(settled_blobs().filter(~Exists(references)).values_list("pk", flat=True)[:limit])
