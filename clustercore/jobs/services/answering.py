"""What a person answers, and what becomes of the unit: done again, or ended like any other."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now

from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.kinds import kind_named, kinds
from clustercore.jobs.domain.lifecycle import UnitState, moved
from clustercore.jobs.domain.questions import DO_IT_AGAIN, FAIL, SKIP, choices_of
from clustercore.jobs.models import Job, Question, Unit
from clustercore.jobs.selectors.questions import OPEN
from clustercore.jobs.services.control import NotPossible
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.settle import end_unit
from clustercore.jobs.services.steps import take_each
from clustercore.jobs.services.turn_locks import alone_in

# By chance, so that those that always fail fill no slice for ever.
_DUE = """
SELECT q.id FROM jobs_question q JOIN jobs_job j ON j.id = q.job_id
WHERE q.answer = '' AND q.withdrawn IS NULL AND q.until <= now() AND j.kind = ANY(%(kinds)s)
  AND abs(extract(epoch FROM now()) - %(as_of)s) <= %(trusted)s
ORDER BY random() LIMIT 100
"""
_ENDS = {SKIP: UnitState.SKIPPED, FAIL: UnitState.FAILED}

AT_THIS_MACHINE = "somebody at the hub"


class NoSuchOption(ValueError):
    """The question has no such option; the message names those that it has."""


def release_unit(unit_id: int, by: str = AT_THIS_MACHINE) -> Unit:
    """Lets a unit be done again of which nobody knows whether it was done. Raises NotPossible."""
    question = _open_question_of(unit_id)
    if not question.of_outcome:
        raise NotPossible(f"unit {unit_id} waits for an answer, which decides what is done: {question.text}")
    return answer_question(question.pk, DO_IT_AGAIN, by)


def skip_unit(unit_id: int, by: str = AT_THIS_MACHINE) -> Unit:
    """Ends a unit about which a person is asked; its job goes on without it. Raises NotPossible."""
    return answer_question(_open_question_of(unit_id).pk, SKIP, by)


def _open_question_of(unit_id: int) -> Question:
    question = Question.objects.filter(OPEN, unit_id=unit_id).last()
    if question is None:
        raise NotPossible(f"nobody is asked about unit {unit_id}: it waits for no person")
    return question


@transaction.atomic
def answer_question(question_id: int, option: str, by: str, bound_to: str | None = None) -> Unit:
    """Takes an answer; `bound_to` is the hash that the person was shown with the question, None for whoever sees none.

    Raises NoSuchOption, and NotPossible for a question that is answered or over, or is about other arguments.
    """
    question, unit = _locked(question_id)
    _refuse_what_is_over(question, unit)
    if bound_to is not None and bound_to != question.bound_to:
        raise NotPossible("what is asked has changed since you were shown it: look at it again")
    choices = choices_of(question.options)
    if option not in choices:
        raise NoSuchOption(f"{option!r} is none of {', '.join(choices)}")
    question.answer, question.answered_by, question.answered = option, by[:200], Now()
    question.save(update_fields=["answer", "answered_by", "answered"])
    record_event(unit.job_id, "answered", f"{unit.stage} {unit.ordinal}: {by} chose to {option}", unit_id=unit.pk)
    if option == SKIP:
        unit.hold_reason = ""
        end_unit(unit.job, unit, UnitState.SKIPPED, f"skipped by {by}")
    else:
        _queue_released(unit)
    return unit


def _locked(question_id: int) -> tuple[Question, Unit]:
    """The question and its unit, under the lock of their job."""
    job = Job.objects.select_for_update(no_key=True, of=("self",)).filter(questions=question_id).first()
    if job is None:
        raise NotPossible(f"there is no question {question_id}")
    alone_in(job.pk)
    question = Question.objects.select_for_update().get(pk=question_id)
    unit = Unit.objects.select_for_update().get(pk=question.unit_id)
    unit.job = job
    return question, unit


def _refuse_what_is_over(question: Question, unit: Unit) -> None:
    if question.answer:
        raise NotPossible(f"this was answered already: {question.answered_by} chose to {question.answer}")
    is_late = Question.objects.filter(pk=question.pk, until__lte=Now()).exists()
    if question.withdrawn is not None or is_late or unit.state != UnitState.HELD:
        raise NotPossible("this is not asked any more: its time is over, or it was settled without an answer")


def _queue_released(unit: Unit) -> None:
    unit.state, unit.hold_reason, unit.error, unit.progress = moved(unit.state, UnitState.QUEUED), "", "", 0.0
    unit.run_after = unit.avoid_node = unit.avoid_until = None
    unit.save()
    transaction.on_commit(partial(kind_named(unit.job.kind).send, unit.job_id, unit.stage, [unit.pk]))


def expire_questions(as_of: ClockReading, lease_seconds: float) -> int:
    """Ends the units of questions whose time is over, and returns how many; one statement where there are none.

    `as_of` is what the clocks said of late: a database's clock that was set since proves nothing.
    """
    wanted: dict[str, Any] = {
        "kinds": [kind.name for kind in kinds()],
        "as_of": as_of.database,
        "trusted": lease_seconds / 2,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, wanted)
        due = [row[0] for row in cursor.fetchall()]
    return take_each(_expire, due)


@transaction.atomic
def _expire(question_id: int) -> bool:
    question, unit = _locked(question_id)
    if question.answer or question.withdrawn is not None:
        return False
    question.withdrawn = Now()
    question.save(update_fields=["withdrawn"])
    unit.hold_reason = ""
    end_unit(unit.job, unit, _ENDS[question.default], f"nobody answered in time: {question.text}")
    return True
