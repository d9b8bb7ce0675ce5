"""Doors: a bell says which unit; the ledger says what happens."""

from __future__ import annotations

from celery import shared_task

from clustercore.jobs.services.advance import advance as advance_job


@shared_task(name="jobs.advance")
def advance(job_id: int) -> str:
    """The body of every wave's chord: it hurries the job, the ledger finishes it."""
    return advance_job(job_id)
