"""What a person does to a job, by page or by API: allowed, done and written into the audit log in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db import transaction

from clustercore.access.domain.errors import Invalid, NotFound, NotPermitted
from clustercore.access.domain.identity import Identity
from clustercore.access.services import audit
from clustercore.jobs.selectors.questions import question_of
from clustercore.jobs.selectors.visibility import operable_jobs, visible_jobs
from clustercore.jobs.services.answering import NoSuchOption, answer_question
from clustercore.jobs.services.control import (
    cancel_job,
    edit_job,
    pause_job,
    remove_job,
    requeue_unit,
    resume_job,
    retry_job,
)


class NotYours(NotPermitted):
    """A job is shared with somebody to read, who wants to change it."""

    code = "not_yours"


def require_visible(identity: Identity, job_id: int) -> None:
    """Raises NotFound for a job that is not there or not for this person to see: nobody can tell which."""
    if not visible_jobs(identity).filter(pk=job_id).exists():
        raise NotFound(f"there is no job {job_id} that you may see")


def require_operable(identity: Identity, job_id: int) -> None:
    """Raises NotFound where the person may not see the job, NotYours where they may only look."""
    require_visible(identity, job_id)
    if not operable_jobs(identity).filter(pk=job_id).exists():
        raise NotYours(f"job {job_id} is shared with you to read: its owner or an administrator may change it")


def _cancel(identity: Identity, job_id: int) -> None:
    cancel_job(job_id, f"cancelled by {identity.name}")


DEEDS: Mapping[str, Callable[[Identity, int], object]] = {
    "cancel": _cancel,
    "retry": lambda _identity, job_id: retry_job(job_id),
    "pause": lambda _identity, job_id: pause_job(job_id),
    "resume": lambda _identity, job_id: resume_job(job_id),
    "remove": lambda _identity, job_id: remove_job(job_id),
}


def do(identity: Identity, verb: str, job_id: int) -> None:
    """Does one of `DEEDS`. Raises NotFound, NotYours, and NotPossible where the job's state is against it."""
    require_operable(identity, job_id)
    with transaction.atomic():
        DEEDS[verb](identity, job_id)
        audit.record(identity, f"job.{verb}", f"job {job_id}")


def requeue(identity: Identity, unit_id: int) -> None:
    """Gives one failed, dead or cancelled unit a clean slate. Raises NotFound, NotYours, NotPossible."""
    with transaction.atomic():
        unit = requeue_unit(unit_id)
        require_operable(identity, unit.job_id)
        audit.record(identity, "unit.requeue", f"unit {unit_id} of job {unit.job_id}")


def answer(identity: Identity, job_id: int, question_id: int, option: str, bound_to: str) -> None:
    """Chooses for a person, who was shown `bound_to`. Raises NotFound, NotYours, Invalid, NotPossible."""
    require_operable(identity, job_id)
    question = question_of(job_id, question_id)
    if question is None:
        raise NotFound(f"there is no question {question_id} of job {job_id}")
    target = f"unit {question.unit_id} of job {job_id}"
    try:
        with transaction.atomic():
            answer_question(question_id, option, identity.name, bound_to)
            audit.record(identity, "question.answer", target, option=option, bound_to=bound_to)
    except NoSuchOption as unknown:
        raise Invalid(f"option: {unknown}", field="option") from unknown


def edit(
    identity: Identity,
    job_id: int,
    *,
    title: str | None = None,
    priority: int | None = None,
    shared: bool | None = None,
) -> None:
    """Changes a job's title, priority (-100 to 100) or whether everybody may read it. Raises NotFound, NotYours."""
    require_operable(identity, job_id)
    given = {"title": title, "priority": priority, "shared": shared}
    with transaction.atomic():
        edit_job(job_id, title=title, priority=priority, shared=shared)
        changed = {name: value for name, value in given.items() if value is not None}
        audit.record(identity, "job.edit", f"job {job_id}", **changed)
