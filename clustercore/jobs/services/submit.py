"""Enqueue: rows in the caller's transaction, bells after its commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.lifecycle import BACKLOG_UNIT_STATES, JobState
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.models import Job, Question, Unit
from clustercore.jobs.selectors.questions import OPEN
from clustercore.jobs.services.counting import count_submitted
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.queueing import queue_units


class BacklogFull(Exception):
    """Too much is waiting already; `retry_after` says in how many seconds to ask again."""

    def __init__(self, waiting: int, limit: int, retry_after: int = 60) -> None:
        super().__init__(
            f"{waiting} pieces of work are waiting and the limit is {limit}: try again in {retry_after} s, "
            "add a node, or raise CLUSTERCORE_BACKLOG_LIMIT"
        )
        self.retry_after = retry_after


class ParentCancelled(Exception):
    """The job for which another one was to be done was cancelled."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"job {job_id}, for which this one would be done, was cancelled: nothing more is done for it")


class KeyReused(Exception):
    """An idempotency key came with another request than the one whose job has it."""

    def __init__(self, job_id: int) -> None:
        super().__init__(
            f"Idempotency-Key: job {job_id} has this key, and was asked for with other content or other options: "
            "send each request with a key of its own"
        )
        self.job_id = job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a user asked for, validated by its kind."""

    kind: str
    title: str
    """What the job is called; empty: `fallback_title`, which does not make it another request."""
    fallback_title: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    """The first stage's payload."""
    blobs: Sequence[str] = ()
    """The blobs that the first stage needs, by their SHA-256."""
    language: str | None = None
    needs: Sequence[str] | None = ()
    """The traits that every model must have which serves its ranked units; None while they are not known."""
    priority: int = 0
    min_rung: int | None = None
    accept_lower_after: float | None = None
    critical_accuracy: bool = False
    engine: str = ""
    model: str = ""
    idempotency_key: str | None = None
    owner_id: int | None = None
    """Who asked; None for the command line."""
    parent_id: int | None = None
    """The job for which this one is done; cancelling that cancels this."""

    def digest(self) -> str:
        """The same for two requests that ask for the same, whoever asks and by whichever key."""
        # What is as by default is left out, so that a field that comes later changes no digest of before.
        given = {one.name: (getattr(self, one.name), _default_of(one)) for one in fields(self)}
        asked = {name: value for name, (value, default) in given.items() if name not in _NOT_ASKED and value != default}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _default_of(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


# What it needs follows from the rest.
_NOT_ASKED = ("fallback_title", "needs", "idempotency_key", "owner_id", "parent_id")
_OVER_WITHOUT_RESULT = (JobState.FAILED, JobState.CANCELLED)


def submit_job(request: JobRequest, *, backlog_limit: int) -> tuple[Job, bool]:
    """Writes the job and its first unit; returns it and whether it is new.

    A known idempotency key gives the job that has it, unless that one failed or was cancelled: then the key goes to
    the new job. Raises KeyReused, BacklogFull, BlobGone, ParentCancelled.
    """
    known = job_with_key(request)
    if known is not None:
        return known, False
    refuse_over_backlog(backlog_limit)
    try:
        with transaction.atomic():
            if request.parent_id is not None:
                _refuse_orphan(request.parent_id)
            _free_key(request)
            return _create(request), True
    except IntegrityError:
        known = job_with_key(request)
        if known is None:
            raise
        return known, False


def refuse_over_backlog(limit: int) -> None:
    """Raises BacklogFull when more than `limit` units wait for nodes, but for those that wait for a person."""
    waiting = Unit.objects.filter(state__in=BACKLOG_UNIT_STATES).count() - Question.objects.filter(OPEN).count()
    if waiting >= limit:
        raise BacklogFull(waiting, limit)


def job_with_key(request: JobRequest) -> Job | None:
    """The job that serves this request already, by its idempotency key. Raises KeyReused."""
    if not request.idempotency_key:
        return None
    job = holder_of_key(request.owner_id, request.idempotency_key)
    if job is None or job.state in _OVER_WITHOUT_RESULT:
        return None
    # Jobs from before there were digests have none.
    if job.request_digest and job.request_digest != request.digest():
        raise KeyReused(job.pk)
    return job


def holder_of_key(owner_id: int | None, key: str) -> Job | None:
    """The job of this owner that has the key, whatever came of it."""
    return Job.objects.filter(owner=owner_id, idempotency_key=key).first()


def _free_key(request: JobRequest) -> None:
    """Takes the key from a job that came to nothing; one that is tried again at this moment keeps it."""
    if request.idempotency_key:
        Job.objects.filter(
            owner=request.owner_id, idempotency_key=request.idempotency_key, state__in=_OVER_WITHOUT_RESULT
        ).update(idempotency_key=None)


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
    return job
