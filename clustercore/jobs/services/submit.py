"""The one way in: what a person or a program asks for becomes a job, of whatever kind it is.

The key is looked up, the backlog asked, the file stored, and then all is written in one transaction: the job, its first
units, what its kind keeps of it, and who asked. Messages are sent after the commit.
"""

from __future__ import annotations

from dataclasses import replace

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from clustercore.access.domain.errors import Conflict, Unavailable
from clustercore.access.domain.identity import Identity
from clustercore.access.services import audit
from clustercore.blobs.domain.errors import BlobGone
from clustercore.config.environment import environment
from clustercore.jobs.domain.job_request import InvalidRequest, JobRequest
from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.backlog import units_waiting
from clustercore.jobs.services.counting import count_submitted
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.sent_files import Sent


class BacklogFull(Unavailable):
    """Too much is waiting already; `retry_after` says in how many seconds to ask again."""

    code = "backlog_full"

    def __init__(self, waiting: int, limit: int, retry_after: int = 60) -> None:
        super().__init__(
            f"{waiting} pieces of work are waiting and the limit is {limit}: try again in {retry_after} s, "
            "add a node, or raise CLUSTERCORE_BACKLOG_LIMIT",
            retry_after=retry_after,
        )


class ParentCancelled(Exception):
    """The job for which another one was to be done was cancelled."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"job {job_id}, for which this one would be done, was cancelled: nothing more is done for it")


class KeyReused(Conflict):
    """An idempotency key came with another request than the one whose job has it."""

    code = "idempotency_key_reused"

    def __init__(self, job_id: int) -> None:
        super().__init__(
            f"Idempotency-Key: job {job_id} has this key, and was asked for with other content or other options: "
            "send each request with a key of its own",
            field="Idempotency-Key",
        )
        self.job_id = job_id


_OVER_WITHOUT_RESULT = (JobState.FAILED, JobState.CANCELLED)


def submit(
    identity: Identity | None, request: JobRequest, store: Sent | None = None, *, backlog_limit: int | None = None
) -> tuple[Job, bool]:
    """Returns the job that serves a request, and whether it is new; what is new is in the audit log.

    `store` is the file that it is about, which is stored once nothing else can refuse the request. `identity` owns the
    job; without one the request says who does. A known idempotency key gives the job that has it, unless that one
    failed or was cancelled: then the key goes to the new job.
    Raises InvalidRequest, KeyReused, BacklogFull, BlobGone, ParentCancelled, OSError.
    """
    if identity is not None:
        request = replace(request, owner_id=identity.user_id)
    holder, known = _known(request, store)
    if known is not None:
        return known, False
    refuse_over_backlog(environment().backlog_limit if backlog_limit is None else backlog_limit)
    if store is not None:
        request = request.about(store.store())
    try:
        with transaction.atomic():
            return _write(identity, request, holder), True
    except BlobGone:
        if store is None:
            raise
        raise InvalidRequest("file", "what came was deleted before its job was written down: send it again") from None
    except IntegrityError:
        _, known = _known(request)
        if known is None:
            raise
        return known, False


def refuse_over_backlog(limit: int) -> None:
    """Raises BacklogFull when more than `limit` units wait for nodes, but for those that wait for a person."""
    waiting = units_waiting(limit)
    if waiting >= limit:
        raise BacklogFull(waiting, limit)


def _known(request: JobRequest, store: Sent | None = None) -> tuple[Job | None, Job | None]:
    """The job that has the request's key, and the same if it serves it. Raises KeyReused."""
    if not request.idempotency_key:
        return None, None
    holder = holder_of_key(request.owner_id, request.idempotency_key)
    if holder is None or holder.state in _OVER_WITHOUT_RESULT:
        return holder, None
    asked = request if store is None else request.about(store.sha256())
    # Jobs from before there were digests have none.
    if holder.request_digest and holder.request_digest != asked.digest():
        raise KeyReused(holder.pk)
    return holder, holder


def holder_of_key(owner_id: int | None, key: str) -> Job | None:
    """The job of this owner that has the key, whatever came of it."""
    return Job.objects.filter(owner=owner_id, idempotency_key=key).first()


def _write(identity: Identity | None, request: JobRequest, holder: Job | None) -> Job:
    """All rows of a submission, in the caller's transaction; the entry of the audit log last, as it asks for."""
    if request.parent_id is not None:
        _refuse_orphan(request.parent_id)
    if holder is not None:
        # One that is tried again at this moment keeps its key.
        Job.objects.filter(pk=holder.pk, state__in=_OVER_WITHOUT_RESULT).update(idempotency_key=None)
    job = _create(request)
    if identity is not None:
        audit.record(identity, "job.submit", f"job {job.pk}")
    return job


def _refuse_orphan(parent_id: int) -> None:
    """Under the parent's lock: whoever cancels it at this moment finds the new job, or is found here."""
    parent = Job.objects.select_for_update(no_key=True).get(pk=parent_id)
    if parent.state == JobState.CANCELLED:
        raise ParentCancelled(parent_id)


def _create(request: JobRequest) -> Job:
    kind = kind_named(request.kind)
    first = kind.stages[0]
    job = Job.objects.create(
        kind=kind.name,
        title=(request.title or request.fallback_title)[:300],
        stage=first.name,
        priority=request.priority,
        parameters=dict(request.parameters),
        language=request.language,
        needs=None if request.needs is None else sorted(request.needs),
        min_rung=request.min_rung,
        accept_lower_after=request.accept_lower_after,
        critical_accuracy=request.critical_accuracy,
        engine=request.engine,
        model=request.model,
        idempotency_key=request.idempotency_key,
        request_digest=request.digest() if request.idempotency_key else "",
        owner_id=request.owner_id,
        parent_id=request.parent_id,
        created=Now(),
    )
    record_event(job.pk, "submitted", f"submitted: {job.title}")
    count_submitted(kind.name)
    begin = NewUnit(stage=first.name, ordinal=0, payload=request.payload, blobs=request.blobs)
    queue_units(kind, job.pk, [begin, *kind.barriers()])
    if kind.submitted is not None:
        kind.submitted(job.pk, request)
    return job
