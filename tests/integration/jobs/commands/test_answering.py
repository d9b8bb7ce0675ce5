"""`clustercore answer`: what a job asks, and the answer of whoever types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clustercore.access.models import AuditEntry
from clustercore.jobs.commands import answering
from clustercore.jobs.commands.answering import answer
from clustercore.jobs.commands.reading import latest_jobs
from clustercore.jobs.commands.rendering import why_of
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.verdict import Ask
from clustercore.jobs.models import Question, Unit
from clustercore.jobs.selectors.questions import open_questions
from clustercore.jobs.services.answering import skip_unit
from clustercore.jobs.services.settle import settle
from clustercore.terminal.domain.endings import CommandError, ExitCode
from tests.fakes.jobs.letters import LETTERS
from tests.integration.jobs.letters import letter, taken

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@contextmanager
def in_touch() -> Iterator[None]:
    """This process is, without asking."""
    yield


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> Unit:
    """A letter that asks."""
    monkeypatch.setitem(kinds._KINDS, "letters", LETTERS)
    monkeypatch.setattr(answering, "cluster", in_touch)
    found = letter()
    settle(taken().key, Ask("Send it?\x1b[2J", ["approve", "refuse"], until=3600.0, default="skip"))
    return found


def test_without_an_option_it_shows_what_is_asked(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(unit.job_id) == ExitCode.DONE
    said = capsys.readouterr().out
    assert f"unit {unit.pk} (send 0): Send it?" in said and "\x1b" not in said
    assert "approve | refuse | skip   until" in said and "then it is skipped" in said


def test_a_script_reads_it_as_json(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(unit.job_id, as_json=True) == ExitCode.DONE
    [question] = json.loads(capsys.readouterr().out)
    assert (question["unit_id"], question["options"]) == (unit.pk, ["approve", "refuse", "skip"])


def test_an_option_is_the_answer_and_is_in_the_audit_log(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(unit.job_id, "approve") == ExitCode.DONE
    unit.refresh_from_db()
    assert (unit.state, Question.objects.get().answer) == ("queued", "approve")
    assert AuditEntry.objects.get().target == f"unit {unit.pk} of job {unit.job_id}"
    answer(unit.job_id)
    assert "asks nothing" in capsys.readouterr().out


@pytest.mark.parametrize(("option", "of_unit"), [("perhaps", None), ("approve", 10**9)])
def test_no_such_option_or_unit_is_bad_input(unit: Unit, option: str, of_unit: int | None) -> None:
    with pytest.raises(CommandError) as refused:
        answer(unit.job_id, option, unit=of_unit)
    assert refused.value.code == ExitCode.USAGE
    unit.refresh_from_db()
    assert unit.state == "held"


def test_of_several_questions_one_must_be_named(unit: Unit) -> None:
    other = Unit.objects.create(
        job_id=unit.job_id, stage="send", ordinal=1, capability="media", state="held", created=unit.created
    )
    Question.objects.create(unit=other, job_id=unit.job_id, text="And this?", options=["yes"], created=unit.created)
    with pytest.raises(CommandError, match="--unit"):
        answer(unit.job_id, "yes")
    assert answer(unit.job_id, "yes", unit=other.pk) == ExitCode.DONE


def test_what_was_answered_meanwhile_is_refused(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = open_questions(unit.job_id)
    skip_unit(unit.pk)
    monkeypatch.setattr(answering, "open_questions", lambda _: asked)
    with pytest.raises(CommandError, match="answered already") as refused:
        answer(unit.job_id, "approve")
    assert refused.value.code == ExitCode.FAILED


def test_the_list_of_jobs_says_what_is_asked_and_what_to_type(unit: Unit) -> None:
    [job] = latest_jobs(None, 10)
    assert job.standing == "asking"
    assert why_of(job).startswith("waits for you: Send it?") and f"`clustercore answer {unit.job_id}`" in why_of(job)
