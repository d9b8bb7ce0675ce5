"""A person decides: whether what must not be done twice is done again, or left out."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt, Job, JobEvent, Question, Unit
from clustercore.jobs.services.answering import NoSuchOption, answer_question, release_unit, skip_unit
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import NotPossible, cancel_job
from clustercore.jobs.services.settle import Settled, settle
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.jobs.kinds import RUNG
from tests.integration.jobs.letters import asked, is_asked, letter, lose_the_lease, states, taken

pytestmark = pytest.mark.services


@pytest.fixture
def lost(letters: None) -> Unit:
    """A letter of which nobody knows whether it was sent."""
    unit = letter()
    taken()
    lose_the_lease()
    unit.refresh_from_db()
    return unit


def test_a_released_unit_is_done_again_by_the_next_attempt(
    lost: Unit, django_capture_on_commit_callbacks: type
) -> None:
    RUNG.clear()
    with django_capture_on_commit_callbacks(execute=True):
        release_unit(lost.pk, "otto")
    assert [("send", [lost.pk])] == RUNG
    again = taken()
    assert again.attempt_number == 2
    assert settle(again.key, Done({})) is Settled.COUNTED
    assert states(lost) == ("done", "running")
    question = Question.objects.get(unit=lost)
    assert (question.answer, question.answered_by) == ("do it again", "otto")


def test_a_skipped_unit_ends_and_its_job_goes_on_to_a_good_end(lost: Unit) -> None:
    skip_unit(lost.pk, "otto")
    assert states(lost) == ("skipped", "running")
    assert lost.error == "skipped by otto"
    settle(taken().key, Done({}))
    assert Job.objects.get().state == "done"


def test_it_is_told_who_chose_what(lost: Unit) -> None:
    release_unit(lost.pk, "otto")
    asked_for, answered = JobEvent.objects.filter(name__in=["asked", "answered"]).order_by("pk")
    assert "it is not known whether this was done" in asked_for.text
    assert answered.text == "send 0: otto chose to do it again"


def test_a_question_is_answered_once(lost: Unit) -> None:
    question = asked(lost)
    answer_question(question.pk, "do it again", "otto")
    with pytest.raises(NotPossible, match="otto chose to do it again"):
        answer_question(question.pk, "skip", "vera")
    with pytest.raises(NotPossible, match="waits for no person"):
        skip_unit(lost.pk)


def test_what_is_no_option_changes_nothing(lost: Unit) -> None:
    with pytest.raises(NoSuchOption, match="do it again, skip"):
        answer_question(asked(lost).pk, "approve", "otto")
    assert states(lost) == ("held", "running") and is_asked(lost)


def test_a_unit_that_waits_for_something_else_is_neither_released_nor_skipped(letters: None) -> None:
    unit = letter()
    Unit.objects.filter(pk=unit.pk).update(state="held", hold_reason="the language is being decided")
    for deed in (release_unit, skip_unit):
        with pytest.raises(NotPossible):
            deed(unit.pk)


def test_a_cancelled_job_asks_nobody_and_asks_again_when_it_is_tried_again(lost: Unit) -> None:
    question = asked(lost)
    cancel_job(lost.job_id)
    assert not is_asked(lost)
    with pytest.raises(NotPossible, match="not asked any more"):
        answer_question(question.pk, "do it again", "otto")


def test_an_attempt_between_the_release_and_the_next_claim_is_nobodys(lost: Unit) -> None:
    release_unit(lost.pk)
    assert not Attempt.objects.filter(outcome="live").exists()
    assert claim(as_claimant(start_node(LAPTOP)), None) is not None
    assert claim(as_claimant(start_node(LAPTOP)), None) is None
