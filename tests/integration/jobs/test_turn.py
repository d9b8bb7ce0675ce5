"""A turn: what was done is told and the next unit taken in one trip, and all that must go the long way does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models.functions import Now

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.new_unit import After, NewUnit
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt, Job, Unit, UnitAfter
from clustercore.jobs.services import turn as turns
from clustercore.jobs.services.claim import Claimant, Claimed
from clustercore.jobs.services.control import cancel_job
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import Settled, settle
from clustercore.jobs.services.turn import BESIDE, TURN, Onward, Turned, turn
from tests.fakes.jobs.kinds import RECORDED, SUMS
from tests.fakes.jobs.panel import operation, planned
from tests.faults.waiting import until
from tests.integration.jobs.conftest import taken, with_parts
from tests.integration.jobs.test_races import submitted as submitted_panel

pytestmark = pytest.mark.services
SERVED = {"seconds": 0.5}
ONE = Done({"n": 1})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of which nothing is recorded."""
    use(monkeypatch, record=None)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of which something is recorded that is of the one part alone."""
    use(monkeypatch, record_locks_job=False)


def use(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    stages = tuple(replace(stage, **changes) if stage.name == "part" else stage for stage in SUMS.stages)
    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, stages=stages))


def turned(node: Claimant, claimed: Claimed, verdict: Done = ONE) -> Turned:
    return turn(claimed, verdict, SERVED, {}, lambda: Onward(node))


def states(job: Job, stage: str = "part") -> list[str]:
    return list(Unit.objects.filter(job=job, stage=stage).order_by("ordinal").values_list("state", flat=True))


@contextmanager
def no_long_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("it went the long way")

    with monkeypatch.context() as patch:
        patch.setattr(turns, "settle_or_retry", refuse)
        yield


@pytest.mark.parametrize("way", ["bare", "recorded"])
def test_a_turn_leaves_what_the_long_way_leaves_and_brings_the_next_unit(
    way: str, node: Claimant, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue(way)
    job, (first, second, third) = with_parts(3)
    with no_long_way(monkeypatch):
        found = turned(node, taken(node), Done({"text": "a\x00b"}))
    settle(taken(node).key, Done({"text": "a\x00b"}), served_by=SERVED)
    assert (found.settled, found.has_asked) == (Settled.COUNTED, True)
    assert found.following is not None and found.following.unit_id == second.pk
    assert states(job) == ["done", "leased", "done"]
    columns = ("state", "result", "progress", "error", "attempts_made", "attempts__outcome", "attempts__served_by")
    quick, slow = (Unit.objects.filter(pk=unit.pk).values_list(*columns).get() for unit in (first, third))
    assert quick == slow
    assert quick[1] == {"text": "ab"}
    assert Attempt.objects.get(unit=first).ended is not None
    assert (first.pk in RECORDED) == (way == "recorded")


def test_a_turn_is_one_statement(node: Claimant, bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with_parts(3)
    held = turned(node, taken(node)).following
    assert held is not None
    asked: list[Any] = []
    execute = psycopg.Cursor.execute

    def counted(cursor: Any, query: Any, *arguments: Any, **named: Any) -> Any:
        asked.append(query)
        return execute(cursor, query, *arguments, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    turned(node, held)
    assert asked == [TURN.call]


def test_the_last_part_goes_the_long_way_and_opens_what_waits_for_it(node: Claimant, bare: None) -> None:
    job, _ = with_parts(2)
    first, second = taken(node), taken(node)
    for claimed in (first, second):
        found = turned(node, claimed)
        assert (found.settled, found.has_asked) == (Settled.COUNTED, False)
    assert states(job) + states(job, "total") == ["done", "done", "queued"]


def test_where_nothing_is_for_this_node_a_turn_says_so(node: Claimant, bare: None) -> None:
    with_parts(2)
    held = taken(node)
    Unit.objects.filter(stage="part", state="queued").update(run_after=Now() + timedelta(minutes=1))
    assert turned(node, held) == Turned(Settled.COUNTED, None, has_asked=True)


def test_a_result_that_no_longer_counts_is_fenced_and_takes_nothing(node: Claimant, bare: None) -> None:
    job, _ = with_parts(3)
    late = taken(node)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert reap(read_clocks(), 20.0) == 1
    assert turned(node, late) == Turned(Settled.FENCED)
    assert states(job) == ["queued"] * 3
    Unit.objects.update(avoid_node=None, avoid_until=None)
    again = taken(node)
    assert (again.unit_id, again.attempt_number) == (late.unit_id, 2)
    assert turned(node, again).settled is Settled.COUNTED
    assert turned(node, again) == Turned(Settled.FENCED)
    cancelled = taken(node)
    cancel_job(job.pk)
    assert turned(node, cancelled) == Turned(Settled.FENCED)
    assert Attempt.objects.filter(outcome="done").count() == 1


def test_without_its_function_a_turn_goes_the_long_way(
    node: Claimant, bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN", replace(TURN, text=f"{TURN.text} /* of another version */"))
    job, _ = with_parts(2)
    assert turned(node, taken(node)) == Turned(Settled.COUNTED)
    assert states(job) == ["done", "queued"]


@pytest.mark.parametrize("way", ["bare", "recorded"])
def test_a_result_that_no_document_holds_ends_and_says_why(
    way: str, node: Claimant, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(way)
    _, (first, _) = with_parts(2)
    assert turned(node, taken(node), Done({"n": object()})).settled is Settled.COUNTED
    first.refresh_from_db()
    assert first.state == "queued" and "cannot be stored" in first.error


def test_what_cannot_be_recorded_is_not_completed(node: Claimant, recorded: None) -> None:
    _, (first, _) = with_parts(2)
    turned(node, taken(node), Done({"unstorable": 1}))
    first.refresh_from_db()
    assert first.state == "queued" and "cannot be stored" in first.error


@pytest.mark.usefixtures("panel")
def test_a_unit_that_another_waits_for_by_name_goes_the_long_way(node: Claimant) -> None:
    submitted_panel()
    settle(taken(node).key, planned(1))
    asked = [taken(node) for _ in range(2)]
    for claimed in asked:
        assert not turned(node, claimed).has_asked
    assert Unit.objects.get(stage="vote").state == "queued"


@pytest.mark.usefixtures("panel")
def test_units_that_follow_from_a_result_are_queued_with_it(node: Claimant) -> None:
    job = submitted_panel()
    turned(node, taken(node), Done({}, then=operation(0)))
    assert len(states(job, "ask")) == 4


class Aside:
    """A transaction on a connection of its own, which stays open until it is told to commit."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)
        self._begun, self._commits = Event(), Event()
        self._open: Future[None] | None = None

    def begin(self, step: Callable[[], object]) -> None:
        """Runs the step in it, and returns when it has."""
        self._open = self._pool.submit(self._hold, step)
        assert self._begun.wait(10)

    def _hold(self, step: Callable[[], object]) -> None:
        try:
            with transaction.atomic():
                assert step()
                self._begun.set()
                assert self._commits.wait(10)
        finally:
            self._begun.set()
            connections.close_all()

    def beside(self, step: Callable[[], object]) -> Future[object]:
        """Begins a step on a further connection; returns when it waits for a lock, or is over."""

        def run() -> object:
            try:
                return step()
            finally:
                connections.close_all()

        found = self._pool.submit(run)
        until(lambda: found.done() or waits(), 10, "it neither waits nor ends")
        return found

    def commit(self) -> None:
        self._commits.set()
        assert self._open is not None
        self._open.result(10)

    def close(self) -> None:
        self._commits.set()
        self._pool.shutdown()


def waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return bool(cursor.fetchone()[0])


@pytest.fixture
def aside() -> Iterator[Aside]:
    found = Aside()
    yield found
    found.close()


def complete_beside(claimed: Claimed) -> bool:
    return bool(BESIDE.fetch(settled=claimed.key, served_by="{}", result="{}"))


@pytest.mark.django_db(transaction=True)
def test_two_that_end_the_last_two_parts_at_once_do_not_take_each_other_for_open(
    node: Claimant, bare: None, aside: Aside
) -> None:
    job, _ = with_parts(2)
    first = taken(node)
    aside.begin(lambda: complete_beside(first))
    last = taken(node)
    other = aside.beside(lambda: settle(last.key, Done({})))
    assert not other.done(), "it looked at what follows while the other part was not committed"
    aside.commit()
    assert other.result(10) is Settled.COUNTED
    assert states(job) + states(job, "total") == ["done", "done", "queued"]


@pytest.mark.django_db(transaction=True)
def test_parts_of_one_job_are_completed_beside_each_other(node: Claimant, bare: None, aside: Aside) -> None:
    job, _ = with_parts(3)
    first, second = taken(node), taken(node)
    aside.begin(lambda: complete_beside(first))
    assert aside.beside(lambda: turned(node, second).settled).result(10) is Settled.COUNTED
    aside.commit()
    assert states(job) == ["done", "done", "leased"]


@pytest.mark.django_db(transaction=True)
def test_who_is_queued_to_wait_for_a_unit_that_is_being_completed_does_not_wait_for_ever(
    node: Claimant, bare: None, aside: Aside
) -> None:
    job, _ = with_parts(3)
    first = taken(node)

    def queue() -> object:
        with transaction.atomic():
            Job.objects.select_for_update(no_key=True).get(pk=job.pk)
            return queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=9, after=[After(stage="part", ordinal=0)])])

    aside.begin(lambda: complete_beside(first))
    queued = aside.beside(queue)
    aside.commit()
    assert queued.result(10)
    assert list(UnitAfter.objects.filter(after=first.unit_id).values_list("outcome", "unit__state")) == [
        ("done", "queued")
    ]


@pytest.mark.usefixtures("bare")
def test_a_turn_whose_connection_breaks_is_noted_as_one_whose_reply_may_be_lost(
    node: Claimant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_: object) -> object:
        raise OperationalError("server closed the connection unexpectedly")

    with_parts(2)
    claimed, before = taken(node), IN_FLIGHT.replies_lost
    monkeypatch.setattr(turns, "TURN", SimpleNamespace(fetch=gone))
    with pytest.raises(OperationalError):
        turned(node, claimed)
    assert IN_FLIGHT.replies_lost == before + 1
