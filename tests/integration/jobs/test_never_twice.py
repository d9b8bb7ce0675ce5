"""What must not be done twice is held as soon as nobody knows whether it was done, whatever ended its attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from django.db import OperationalError

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT, Holding
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.unit_context import LeaseLost, UnitContext
from clustercore.jobs.domain.verdict import Ask, Crashed, Done, Fail, HandBack, Hold, Retry, Unknown, Verdict
from clustercore.jobs.models import Attempt, Counter, Question, Unit
from clustercore.jobs.services import execution, lease_hook
from clustercore.jobs.services.answering import release_unit
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.control import cancel_job, retry_job
from clustercore.jobs.services.held_leases import HeldLeases
from clustercore.jobs.services.leases import end_left_behind
from clustercore.jobs.services.settle import Settled, settle, settle_or_retry
from clustercore.nodes.domain.hooks import Agent, RunnerDied
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.fakes.jobs.letters import LETTERS, SENDING
from tests.fakes.nodes.agent import agent_of
from tests.integration.jobs.conftest import with_parts
from tests.integration.jobs.letters import asked, done_by, is_asked, letter, lose_the_lease, states, taken

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("letters")]


def killed_worker(claimed: Claimed) -> None:
    node = start_node(LAPTOP)
    assert end_left_behind(LAPTOP, node.boot_id, uuid4(), {claimed.key}) == 1


def another_piece_killed_the_worker(claimed: Claimed) -> None:
    node = start_node(LAPTOP)
    assert end_left_behind(LAPTOP, node.boot_id, uuid4(), ()) == 1


def dead_host(claimed: Claimed) -> None:
    settle(claimed.key, Crashed("killed by SIGKILL"))


@pytest.mark.parametrize(
    "ended",
    [lambda _: lose_the_lease(), killed_worker, another_piece_killed_the_worker, dead_host],
    ids=["lease", "worker", "neighbour", "host"],
)
def test_whatever_ends_an_attempt_without_its_handlers_word_leaves_a_question(
    ended: Callable[[Claimed], None],
) -> None:
    unit = letter()
    held = taken()
    ended(held)
    assert states(unit) == ("held", "running")
    assert unit.hold_reason.startswith("it is not known whether this was done")
    assert asked(unit).options == ["do it again", "skip"]
    assert Attempt.objects.get(pk=held.attempt_id).outcome == "unknown"
    for name in (LAPTOP, WORKSTATION):
        assert claim(as_claimant(start_node(name)), None) is None
    assert unit.strikes == unit.failures == 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug"),
        OperationalError("the hub is away"),
        OSError(28, "No space left on device"),
        RunnerDied("killed by SIGSEGV", deliberate=False),
        RunnerDied("silent for too long", deliberate=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_of_the_handler_is_no_word_of_it(error: Exception, tmp_path: Path) -> None:
    def fails(_: UnitContext) -> Verdict:
        raise error

    unit = letter()
    SENDING.append(fails)
    node = start_node(LAPTOP)
    verdict = done_by(node, taken(node), tmp_path)
    assert isinstance(verdict, Unknown)
    assert states(unit) == ("held", "running") and is_asked(unit)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Retry("the letter box was full"), "queued"),
        (Hold("in a minute", 60.0), "queued"),
        (Fail("no such address"), "failed"),
        (Done({}), "done"),
    ],
)
def test_what_the_handler_says_itself_means_what_it_says(verdict: Verdict, state: str, tmp_path: Path) -> None:
    unit = letter()
    SENDING.append(lambda _: verdict)
    node = start_node(LAPTOP)
    done_by(node, taken(node), tmp_path)
    assert states(unit)[0] == state and not is_asked(unit)


def test_what_had_no_room_to_begin_may_be_done_by_another_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: Path) -> None:
        raise OSError(28, "No space left on device")

    unit = letter()
    monkeypatch.setattr(execution, "_make_workspace", no_room)
    node = start_node(LAPTOP)
    done_by(node, taken(node), tmp_path)
    assert states(unit) == ("queued", "running") and not is_asked(unit)


@pytest.mark.parametrize(("began", "state"), [(True, "held"), (False, "queued")])
def test_a_stopping_node_hands_back_only_what_it_had_not_begun(began: bool, state: str, tmp_path: Path) -> None:
    unit = letter()
    node = start_node(LAPTOP)
    held = taken(node)
    holding = Holding(held.key, held.unit_id, once=held.once)
    if began:
        holding.begin()
    IN_FLIGHT.add(holding)
    try:
        stopping = cast(Agent, agent_of(node, tmp_path))
        lease_hook.LeaseHook(lambda _name, _waiting: "", HeldLeases()).on_hand_back(stopping)
    finally:
        IN_FLIGHT.remove(held.key)
    assert states(unit)[0] == state
    if not began:
        with pytest.raises(LeaseLost):
            holding.begin()


def test_the_handler_of_a_lost_attempt_is_not_called_and_that_settles_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = letter()
    node = start_node(LAPTOP)
    held = taken(node)
    SENDING.append(lambda _: pytest.fail("it was called"))

    def lost_meanwhile(_: Path) -> None:
        lose_the_lease()
        [holding] = IN_FLIGHT.all()
        holding.lost.set()

    monkeypatch.setattr(execution, "_make_workspace", lost_meanwhile)
    assert isinstance(done_by(node, held, tmp_path), HandBack)
    assert states(unit) == ("queued", "running") and not is_asked(unit)


def test_a_late_result_of_the_last_attempt_counts_and_withdraws_the_question() -> None:
    unit = letter()
    held = taken()
    lose_the_lease()
    assert settle(held.key, Done({"sent": 1}), served_by={"engine": "post"}) is Settled.COUNTED
    assert states(unit) == ("done", "running") and not is_asked(unit)
    assert (unit.result, unit.hold_reason) == ({"sent": 1}, "")
    attempt = Attempt.objects.get(pk=held.attempt_id)
    assert (attempt.outcome, attempt.served_by) == ("done", {"engine": "post"})
    assert not Counter.objects.filter(name="results.fenced").exists()


def test_a_late_word_that_it_failed_counts_too() -> None:
    unit = letter()
    held = taken()
    lose_the_lease()
    assert settle(held.key, Fail("no such address")) is Settled.COUNTED
    assert states(unit) == ("failed", "failed") and not is_asked(unit)


def test_a_late_doubt_withdraws_nothing() -> None:
    unit = letter()
    held = taken()
    lose_the_lease()
    assert settle(held.key, Unknown("the worker died")) is Settled.FENCED
    assert states(unit)[0] == "held" and is_asked(unit)


def test_a_late_result_after_the_release_saves_doing_it_again() -> None:
    unit = letter()
    held = taken()
    lose_the_lease()
    release_unit(unit.pk)
    assert settle(held.key, Done({"sent": 1})) is Settled.COUNTED
    assert states(unit)[0] == "done"
    assert Unit.objects.filter(stage="send", state="queued").count() == 0


@pytest.mark.parametrize("late", [Fail("no such address"), Retry("the letter box was full"), Ask("Send it?", ["yes"])])
def test_a_late_word_other_than_done_does_not_undo_the_release(late: Verdict) -> None:
    unit = letter()
    held = taken()
    lose_the_lease()
    release_unit(unit.pk)
    assert settle(held.key, late) is Settled.FENCED
    assert states(unit) == ("queued", "running")
    assert (unit.failures, unit.run_after) == (0, None)


def test_a_late_result_is_fenced_once_another_attempt_is_live() -> None:
    unit = letter()
    first = taken()
    lose_the_lease()
    release_unit(unit.pk)
    second = taken()
    assert settle(first.key, Done({"sent": 1})) is Settled.FENCED
    assert settle(second.key, Done({"sent": 2})) is Settled.COUNTED
    unit.refresh_from_db()
    assert unit.result == {"sent": 2}


def test_a_late_result_of_an_earlier_attempt_is_fenced_while_the_last_one_is_in_doubt() -> None:
    unit = letter()
    first = taken()
    lose_the_lease()
    release_unit(unit.pk)
    taken()
    lose_the_lease()
    assert settle(first.key, Done({"sent": 1})) is Settled.FENCED
    assert is_asked(unit)


def test_a_job_that_was_cancelled_in_the_middle_asks_before_it_is_tried_again() -> None:
    unit = letter()
    taken()
    cancel_job(unit.job_id)
    retry_job(unit.job_id)
    assert states(unit) == ("held", "running") and is_asked(unit)


def test_a_job_that_was_cancelled_before_it_began_asks_nobody() -> None:
    unit = letter()
    cancel_job(unit.job_id)
    retry_job(unit.job_id)
    assert states(unit) == ("queued", "running") and not is_asked(unit)


def test_a_result_that_cannot_be_stored_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_unit: int, _result: object) -> None:
        raise KeyError("a field that the record needs")

    first, *rest = LETTERS.stages
    monkeypatch.setitem(kinds._KINDS, "letters", replace(LETTERS, stages=(replace(first, record=refused), *rest)))
    unit = letter()
    settle_or_retry(taken().key, Done({}), {})
    assert states(unit)[0] == "held" and "cannot be stored" in asked(unit).text


def test_other_units_go_to_another_node_as_ever() -> None:
    with_parts(1)
    taken()
    lose_the_lease()
    assert not Question.objects.exists()
    assert Unit.objects.get(stage="part").state == "queued"
