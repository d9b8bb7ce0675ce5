"""References from units to blobs: written with the units, gone with the job, and what nobody refers to is deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clustercore.blobs.domain.errors import BlobGone
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import delete_unreferenced, local_store, lock_stored
from clustercore.jobs.models import JobBlob
from clustercore.jobs.selectors.references import referenced, unreferenced

BATCH = 1000


def refer(job_id: int, needs: Mapping[int, Sequence[str]]) -> None:
    """Writes down which blobs units need, by unit id, in the caller's transaction. Raises BlobGone."""
    wanted = {sha256 for blobs in needs.values() for sha256 in blobs}
    if not wanted:
        return
    gone = wanted - lock_stored(wanted)
    if gone:
        raise BlobGone(f"{len(gone)} of {len(wanted)} files were deleted before anything referred to them: store again")
    rows = [JobBlob(job_id=job_id, unit_id=unit, sha256=sha256) for unit, blobs in needs.items() for sha256 in blobs]
    JobBlob.objects.bulk_create(rows, ignore_conflicts=True)


def share_references(unit_id: int, other_id: int) -> None:
    """Lets another unit of the same job need the same blobs, whether they are stored or not."""
    needed = JobBlob.objects.filter(unit=unit_id).values_list("job_id", "sha256")
    JobBlob.objects.bulk_create(JobBlob(job_id=job_id, unit_id=other_id, sha256=sha256) for job_id, sha256 in needed)


def release(sha256s: Sequence[str]) -> None:
    """Deletes what a job needed that is gone, as far as nobody else needs it; what was stored of late goes later."""
    delete_unreferenced(sha256s, referenced)


def collect_unreferenced() -> None:
    """Deletes what no job refers to and nobody stored of late; on the hub's machine, elsewhere it does nothing."""
    if local_store(hub_now()) is None:
        return
    while delete_unreferenced(unreferenced(BATCH), referenced):
        pass
