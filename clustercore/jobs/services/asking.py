"""Questions to a person, asked and withdrawn in the transaction that holds or ends their unit."""

from __future__ import annotations

from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from clustercore.jobs.domain.questions import DO_IT_AGAIN, SKIP, UNKNOWN_OUTCOME
from clustercore.jobs.domain.verdict import Ask
from clustercore.jobs.models import Question, Unit
from clustercore.jobs.selectors.questions import OPEN
from clustercore.jobs.services.events import record_event


def ask(unit: Unit, verdict: Ask, until: Combinable | None) -> None:
    """Asks what the handler wants to know; `until` by the database's clock."""
    Question.objects.create(
        unit=unit,
        job_id=unit.job_id,
        text=verdict.question,
        options=list(verdict.options),
        bound_to=verdict.bound_to,
        until=until,
        default=verdict.default if until is not None else "",
        created=Now(),
    )
    tell_of_question(unit.job_id, unit.pk, f"{unit.stage} {unit.ordinal}", verdict.question)


def ask_about_outcome(unit: Unit, why: str) -> str:
    """Asks whether the unit is to be done again, and returns in words what it is held for."""
    text = f"{UNKNOWN_OUTCOME}: {why}"
    Question.objects.create(
        unit=unit, job_id=unit.job_id, text=text, options=[DO_IT_AGAIN, SKIP], of_outcome=True, created=Now()
    )
    tell_of_question(unit.job_id, unit.pk, f"{unit.stage} {unit.ordinal}", text)
    return text[:400]


def tell_of_question(job_id: int, unit_id: int, which: str, text: str) -> None:
    """Adds to the job's story that it waits for a person."""
    record_event(job_id, "asked", f"{which} waits for you: {text}", unit_id=unit_id)


def withdraw_from_unit(unit_id: int) -> None:
    """Nobody needs to answer any more what was asked about the unit."""
    Question.objects.filter(OPEN, unit_id=unit_id).update(withdrawn=Now())


def withdraw_from_job(job_id: int) -> None:
    """Nobody needs to answer any more what was asked about any unit of the job."""
    Question.objects.filter(OPEN, job_id=job_id).update(withdrawn=Now())
