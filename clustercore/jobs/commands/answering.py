"""`clustercore answer`: what a job asks of people, and their answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from django.db import transaction
from typer import Argument, Option

from clustercore.access.adapters.account import account
from clustercore.access.services.audit import record
from clustercore.jobs.commands.reading import require_jobs
from clustercore.jobs.domain.questions import QuestionLine
from clustercore.jobs.selectors.questions import open_questions
from clustercore.jobs.services.answering import NoSuchOption, answer_question
from clustercore.jobs.services.control import NotPossible
from clustercore.terminal.adapters.console import say, write_json
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import printable
from clustercore.terminal.services.program import cluster


def answer(
    job_id: Annotated[int, Argument(metavar="JOB", min=1)],
    option: Annotated[str | None, Argument(metavar="OPTION", help="One of those that are listed without it.")] = None,
    unit: Annotated[int | None, Option("--unit", min=1, help="Which unit, where the job asks about several.")] = None,
    as_json: Annotated[bool, Option("--json", help="For a script: what is asked.")] = False,
) -> int:
    """Show what a job asks, and answer it.

    Examples:

      clustercore answer 7

      clustercore answer 7 approve

      clustercore answer 7 skip --unit 12

    Exit codes: 0; 1 if it was answered or over meanwhile; 2 if there is no such job, unit or option.
    """
    with cluster():
        require_jobs([job_id])
        asked = [one for one in open_questions(job_id) if unit in (None, one.unit_id)]
        if option is not None:
            _give(job_id, _the_one(job_id, asked, unit), option)
            return ExitCode.DONE
    if as_json:
        write_json([asdict(one) for one in asked])
    else:
        _show(job_id, asked)
    return ExitCode.DONE


def _the_one(job_id: int, asked: Sequence[QuestionLine], unit: int | None) -> QuestionLine:
    of_unit = "" if unit is None else f" about unit {unit}"
    if not asked:
        raise CommandError(f"job {job_id} asks nothing{of_unit} now", ExitCode.USAGE)
    if len(asked) > 1:
        units = ", ".join(str(one.unit_id) for one in asked)
        raise CommandError(f"job {job_id} asks about several: say which with --unit ({units})", ExitCode.USAGE)
    return asked[0]


def _give(job_id: int, question: QuestionLine, option: str) -> None:
    try:
        with transaction.atomic():
            answer_question(question.id, option, account().name, question.bound_to)
            target = f"unit {question.unit_id} of job {job_id}"
            record(account(), "question.answer", target, option=option, bound_to=question.bound_to)
    except NoSuchOption as unknown:
        raise CommandError(f"OPTION: {unknown}", ExitCode.USAGE) from unknown
    except NotPossible as reason:
        raise CommandError(str(reason)) from reason
    say(f"job {job_id}, unit {question.unit_id}: {option}")


def _show(job_id: int, asked: Sequence[QuestionLine]) -> None:
    if not asked:
        say(f"Job {job_id} asks nothing.")
    for one in asked:
        say(f"unit {one.unit_id} ({one.stage} {one.ordinal}): {printable(one.text)}")
        say(f"  {' | '.join(one.options)}{_end_of(one)}")


def _end_of(question: QuestionLine) -> str:
    if question.until is None:
        return ""
    ends = "is skipped" if question.default == "skip" else "fails"
    return f"   until {question.until:%Y-%m-%d %H:%M} UTC, then it {ends}"
