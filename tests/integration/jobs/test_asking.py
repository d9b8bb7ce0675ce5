"""A handler asks a person, its unit waits for as long as it takes, and the next attempt has the answer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.questions import Answer
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Ask, Done, Fail, Verdict
from clustercore.jobs.models import Job, Question, Unit
from clustercore.jobs.services import answering
from clustercore.jobs.services.answering import answer_question, expire_questions, release_unit, skip_unit
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import NotPossible, cancel_job, retry_job
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import BacklogFull, refuse_over_backlog
from clustercore.jobs.services.sweep import Sweeper, finish_forgotten_jobs
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.jobs.kinds import RUNG
from tests.fakes.jobs.letters import SENDING
from tests.integration.jobs.conftest import failing_for, first_of
from tests.integration.jobs.letters import asked, done_by, is_asked, letter, lose_the_lease, states, taken

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("letters")]

LEASE = 20.0
MAY_I = Ask("Send it to vera?", ["approve", "refuse"], bound_to="hash of the letter")
BRIEFLY = Ask("Send it to vera?", ["approve"], until=60.0)


def asking(verdict: Ask = MAY_I) -> Unit:
    """A letter whose handler has asked."""
    unit = letter()
    settle(taken().key, verdict)
    unit.refresh_from_db()
    return unit


def pass_the_time() -> None:
    Question.objects.filter(answer="", withdrawn=None).update(until=Now() - timedelta(minutes=1))


def test_a_unit_that_asks_is_held_and_no_node_gets_it() -> None:
    unit = asking()
    assert states(unit) == ("held", "running")
    assert unit.hold_reason == "Send it to vera?"
    assert (asked(unit).options, asked(unit).until) == (["approve", "refuse"], None)
    assert claim(as_claimant(start_node(LAPTOP)), None) is None
    finish_forgotten_jobs()
    assert states(unit) == ("held", "running")


def test_the_next_attempt_has_the_answer(tmp_path: Path, django_capture_on_commit_callbacks: type) -> None:
    seen: list[Answer | None] = []

    def ask_first(context: UnitContext) -> Verdict:
        seen.append(context.answer)
        return Done({}) if context.answer is not None else MAY_I

    SENDING.append(ask_first)
    unit = letter()
    node = start_node(LAPTOP)
    done_by(node, taken(node), tmp_path)
    RUNG.clear()
    with django_capture_on_commit_callbacks(execute=True):
        answer_question(asked(unit).pk, "approve", "otto", "hash of the letter")
    assert [("send", [unit.pk])] == RUNG
    done_by(node, taken(node), tmp_path)
    assert states(unit)[0] == "done"
    first, second = seen
    assert first is None and second is not None
    assert (second.option, second.by, second.bound_to) == ("approve", "otto", "hash of the letter")
    assert second.at == Question.objects.get().answered


def test_an_answer_to_what_was_shown_otherwise_is_refused() -> None:
    unit = asking()
    with pytest.raises(NotPossible, match="has changed"):
        answer_question(asked(unit).pk, "approve", "otto", "hash of another letter")
    assert is_asked(unit)


def test_an_approval_lasts_while_somebody_decides_whether_to_do_it_again() -> None:
    unit = asking()
    answer_question(asked(unit).pk, "approve", "otto")
    taken()
    lose_the_lease()
    release_unit(unit.pk, "vera")
    answer = taken().answer
    assert answer is not None and (answer.option, answer.by) == ("approve", "otto")


def test_an_approval_ends_when_the_handler_asks_anew() -> None:
    unit = asking()
    answer_question(asked(unit).pk, "approve", "otto")
    settle(taken().key, BRIEFLY)
    pass_the_time()
    assert expire_questions(read_clocks(), LEASE) == 1
    retry_job(unit.job_id)
    assert taken().answer is None


def test_a_unit_that_asks_can_be_skipped_and_not_merely_released() -> None:
    unit = asking()
    with pytest.raises(NotPossible, match="waits for an answer"):
        release_unit(unit.pk)
    skip_unit(unit.pk, "otto")
    assert states(unit) == ("skipped", "running")


@pytest.mark.parametrize(("default", "state", "of_job"), [("fail", "failed", "failed"), ("skip", "skipped", "running")])
def test_what_nobody_answers_ends_as_was_said_and_its_job_goes_on(default: str, state: str, of_job: str) -> None:
    unit = asking(Ask("Send it?", ["approve"], until=60.0, default=default))
    assert expire_questions(read_clocks(), LEASE) == 0
    pass_the_time()
    assert expire_questions(read_clocks(), LEASE) == 1
    assert expire_questions(read_clocks(), LEASE) == 0
    assert states(unit) == (state, of_job)
    assert unit.error == "nobody answered in time: Send it?"
    question = Question.objects.get()
    assert question.answer == "" and question.withdrawn is not None


def test_an_answer_after_the_time_is_refused_though_no_sweep_has_come() -> None:
    unit = asking(BRIEFLY)
    question = asked(unit)
    pass_the_time()
    with pytest.raises(NotPossible, match="its time is over"):
        answer_question(question.pk, "approve", "otto")


def test_every_tick_looks_for_what_is_over_though_a_sweep_is_not_due() -> None:
    unit = asking(BRIEFLY)
    sweeper = Sweeper(float)
    sweeper.sweep_if_due(elapsed_seconds, LEASE)
    pass_the_time()
    sweeper.sweep_if_due(elapsed_seconds, LEASE)
    assert states(unit)[0] == "failed"


def test_what_waits_for_a_person_is_no_backlog() -> None:
    asking()
    refuse_over_backlog(1)
    letter()
    with pytest.raises(BacklogFull):
        refuse_over_backlog(1)


def test_questions_cost_one_statement_while_none_is_over() -> None:
    asking(BRIEFLY)
    reading = read_clocks()
    with CaptureQueriesContext(connection) as queries:
        expire_questions(reading, LEASE)
    assert len(queries) == 1


def test_a_cancelled_job_asks_nobody_and_asks_anew_once_it_is_tried_again() -> None:
    unit = asking()
    cancel_job(unit.job_id)
    assert not is_asked(unit)
    retry_job(unit.job_id)
    held = taken()
    assert held.answer is None
    settle(held.key, MAY_I)
    assert is_asked(unit)


def test_a_job_that_has_failed_elsewhere_asks_nobody() -> None:
    unit = asking()
    other = Unit.objects.create(job_id=unit.job_id, stage="file", ordinal=1, capability="media", created=Now())
    settle(taken().key, Fail("no such address"))
    other.refresh_from_db()
    assert (other.state, Job.objects.get().state) == ("failed", "failed")
    assert not is_asked(unit)


def test_a_question_that_cannot_be_ended_keeps_none_behind_it_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, unit = asking(BRIEFLY), asking(BRIEFLY)
    pass_the_time()
    monkeypatch.setattr(answering, "end_unit", failing_for(broken.job))
    assert expire_questions(read_clocks(), LEASE) == 1
    assert (is_asked(broken), is_asked(unit)) == (True, False)


def test_whoever_answers_lets_no_turn_of_the_job_in_before_he_locks_its_unit() -> None:
    question = asked(asking())
    with CaptureQueriesContext(connection) as queries:
        answer_question(question.pk, "approve", "otto")
    assert first_of(queries, "pg_advisory_xact_lock") == first_of(queries, "FOR NO KEY UPDATE") + 1
