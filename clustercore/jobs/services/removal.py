"""Removing a job with the blobs that nothing else refers to."""

from __future__ import annotations

from django.db import transaction

from clustercore.blobs.services import delete
from clustercore.jobs.domain.kinds import registered_kinds
from clustercore.jobs.services.control import remove_job


@transaction.atomic
def remove_job_and_blobs(job_id: int) -> None:
    """Deletes a job that is over with its recordings, texts and every node's copies. Raises NotPossible."""
    blobs = set(remove_job(job_id))
    for kind in registered_kinds():
        blobs -= set(kind.blobs_in_use(blobs))
    if blobs:
        delete(sorted(blobs))
