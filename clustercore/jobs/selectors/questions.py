"""What people are asked, and which jobs wait for them."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from clustercore.jobs.domain.questions import QuestionLine, choices_of, state_of
from clustercore.jobs.models import Job, Question

OPEN = Q(answer="", withdrawn=None)
SHOWN = 50
"""Of the open questions of one job: whoever answers one sees the next."""


def waiting_for_an_answer(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Returns those of these jobs about which a person is asked."""
    return jobs.filter(Exists(_open_questions()))


def first_question() -> Subquery:
    """Returns, for a query of jobs, the text of the oldest open question of each; None where there is none."""
    return Subquery(_open_questions().order_by("id").values("text")[:1])


def question_ids() -> ArraySubquery:
    """Returns, for a query of jobs, the numbers of the first open questions of each."""
    return ArraySubquery(_open_questions().order_by("id").values("id")[:SHOWN])


def _open_questions() -> QuerySet[Question]:
    return Question.objects.filter(OPEN, job=OuterRef("pk"))


def open_questions(job_id: int) -> list[QuestionLine]:
    """Returns what is asked about a job now, oldest first. One query."""
    return _lines(Question.objects.filter(OPEN, job_id=job_id).order_by("id")[:SHOWN])


def questions_page(job_id: int, after: int, limit: int) -> list[QuestionLine]:
    """Returns up to `limit` questions of a job with an id above `after`, answered or not. One query."""
    return _lines(Question.objects.filter(job_id=job_id, pk__gt=after).order_by("id")[:limit])


def question_of(job_id: int, question_id: int) -> QuestionLine | None:
    """Returns one question of a job; None for another job's. One query."""
    return next(iter(_lines(Question.objects.filter(job_id=job_id, pk=question_id))), None)


def _lines(questions: QuerySet[Question]) -> list[QuestionLine]:
    return [_line(question) for question in _with_unit(questions)]


def _with_unit(questions: QuerySet[Question]) -> Sequence[Question]:
    return list(questions.select_related("unit").defer("unit__payload", "unit__result"))


def _line(question: Question) -> QuestionLine:
    return QuestionLine(
        id=question.pk,
        unit_id=question.unit_id,
        stage=question.unit.stage,
        ordinal=question.unit.ordinal,
        text=question.text,
        options=choices_of(question.options),
        bound_to=question.bound_to,
        until=question.until,
        default=question.default,
        created=question.created,
        state=state_of(answer=question.answer, withdrawn=question.withdrawn, until=question.until),
        answer=question.answer,
        answered_by=question.answered_by,
        answered=question.answered,
    )
