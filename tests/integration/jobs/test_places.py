"""What the messages of a canvas do to the ledger: places that work a stage off, and the join that they bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Task
from celery.exceptions import Reject, Retry
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerAway

from clustercore.jobs import workflows
from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Fail, Verdict
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.selectors.node_load import free_places
from clustercore.jobs.services import places, work_finder
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.available import Waiting, claimable
from clustercore.jobs.services.claim import CanvasPlace, claim
from clustercore.jobs.services.places import expect_message, expect_no_message, work, work_join, work_off
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.work import AttemptFailed
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.fakes.jobs.kinds import SUMS
from tests.fakes.nodes.agent import FakeAgent, agent_of
from tests.integration.jobs.conftest import submitted, with_parts

pytestmark = pytest.mark.services

MOST = workflows.MOST_RETRIES


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeAgent:
    """The laptop's, as the slots of this process find it."""
    found = agent_of(start_node(LAPTOP), tmp_path)
    monkeypatch.setattr(places, "current_agent", lambda: found)
    return found


@pytest.fixture
def handled_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[UnitContext], Verdict]], None]:
    """Gives all stages this handler."""

    def use(handler: Callable[[UnitContext], Verdict]) -> None:
        stages = tuple(replace(stage, handler=handler) for stage in SUMS.stages)
        monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, stages=stages))

    return use


def place_of(job: Job) -> CanvasPlace:
    return CanvasPlace(job.pk, "part")


def states(job: Job, stage: str = "part") -> list[str]:
    return list(Unit.objects.filter(job=job, stage=stage).order_by("ordinal").values_list("state", flat=True))


def total_of(job: Job) -> Unit:
    return Unit.objects.get(job=job, stage="total")


def test_a_place_works_its_stage_off_each_unit_once(agent: FakeAgent) -> None:
    job, _ = with_parts(3)
    assert work_off(place_of(job)).word == "3 done, nothing left for this node"
    assert states(job) == ["done"] * 3
    assert Attempt.objects.filter(unit__job=job).count() == 3


def test_a_place_leaves_the_unit_that_waits_for_its_stage_to_the_body(agent: FakeAgent) -> None:
    job, _ = with_parts(1)
    work_off(place_of(job))
    assert states(job, "total") == ["queued"]


@pytest.mark.parametrize("priority", [0, -1], ids=["older", "of higher priority"])
def test_a_place_takes_nothing_while_it_is_another_jobs_turn(agent: FakeAgent, priority: int) -> None:
    job, _ = with_parts(2, priority=priority)
    first, _ = with_parts(1)
    late = job if priority else first
    assert work_off(place_of(late)).word == "0 done, nothing left for this node"
    assert (states(first), states(job)) == (["queued"], ["queued", "queued"])


def test_a_place_takes_nothing_of_another_stage(agent: FakeAgent) -> None:
    job = submitted()
    assert work_off(place_of(job)).word == "0 done, nothing left for this node"
    assert states(job, "plan") == ["queued"]


def test_a_place_gives_way_to_a_light_unit_of_another_job(agent: FakeAgent) -> None:
    job, _ = with_parts(1)
    begun, _ = with_parts(1)
    Unit.objects.filter(job=begun, stage="part").update(state="done")
    Unit.objects.filter(job=begun, stage="total").update(state="queued")
    assert work_off(place_of(job)).word == "0 done, nothing left for this node"


def test_a_place_tells_tries_from_results(
    agent: FakeAgent, handled_by: Callable[[Callable[[UnitContext], Verdict]], None]
) -> None:
    handled_by(lambda context: Fail("no sound") if context.ordinal == 1 else Done({}))
    job, _ = with_parts(3)
    assert work_off(place_of(job)).word == "2 of 3 done, nothing left for this node"


def test_after_its_time_a_place_goes_on_behind_what_waits(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SECONDS", -1.0)
    job, _ = with_parts(2)
    outcome = work_off(place_of(job))
    assert (outcome.word, outcome.goes_on) == ("1 done, more to do", True)
    assert states(job) == ["done", "queued"]


def test_a_node_that_takes_no_work_any_more_leaves_the_rest_to_others(
    agent: FakeAgent, handled_by: Callable[[Callable[[UnitContext], Verdict]], None]
) -> None:
    def handler(context: UnitContext) -> Verdict:
        agent.taking_work = False
        return Done({})

    handled_by(handler)
    job, _ = with_parts(2)
    outcome = work_off(place_of(job))
    assert outcome.not_here and outcome.word.startswith("1 done")
    assert states(job) == ["done", "queued"]


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """What the node's slots told its own queue, as (node, unit)."""
    sent: list[tuple[str, int]] = []

    def wake_up(name: str, waiting: Sequence[Waiting]) -> str:
        sent.extend((name, unit.unit_id) for unit in waiting)
        return ""

    monkeypatch.setattr(work_finder, "_WAKE_UP", [wake_up])
    yield sent
    for unit_id in IN_FLIGHT.pending_wake_ups():
        IN_FLIGHT.answered(unit_id)


Woken = list[tuple[str, int]]


def test_a_message_wakes_a_slot_that_goes_on_in_the_order_of_work_until_nothing_is_left(
    agent: FakeAgent, woken: Woken
) -> None:
    first, (one, two) = with_parts(2)
    second, _ = with_parts(1)
    # Which unit its message names says nothing of what is done first.
    assert work(two.pk) == f"unit {one.pk} of job {first.pk} (part 0): done; in all 5 done"
    assert states(first) + states(second) == ["done"] * 3
    assert states(first, "total") + states(second, "total") == ["done"] * 2
    order = list(Attempt.objects.order_by("pk").values_list("unit__job", "unit__stage", "unit__ordinal"))
    assert order == [
        (first.pk, "part", 0),
        (first.pk, "part", 1),
        (first.pk, "total", 0),
        (second.pk, "part", 0),
        (second.pk, "total", 0),
    ]
    assert woken == []
    assert work(one.pk) == "nothing to do: it is done, taken, or not for this node"


def test_after_its_time_a_slot_wakes_its_own_queue_and_ends(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, woken: Woken
) -> None:
    monkeypatch.setattr(places, "SECONDS", -1.0)
    job, (one, _) = with_parts(2)
    assert work(None).endswith("(part 0): done")
    assert woken == [(LAPTOP, one.pk)]
    assert IN_FLIGHT.pending_wake_ups() == {one.pk}
    assert states(job) == ["done", "queued"]


def test_a_try_that_fails_is_a_failed_task_and_wakes_the_nodes_own_queue_for_what_is_left(
    agent: FakeAgent, handled_by: Callable[[Callable[[UnitContext], Verdict]], None], woken: Woken
) -> None:
    handled_by(lambda context: Fail("no sound") if context.ordinal == 1 else Done({}))
    job, (_, second, _) = with_parts(3)
    with pytest.raises(AttemptFailed, match=rf"unit {second.pk} of job {job.pk} \(part 1\): no sound; in all 1 of 2"):
        work(None)
    assert woken == [(LAPTOP, second.pk)]
    assert states(job) == ["done", "failed", "queued"]


def test_a_slot_takes_nothing_further_once_its_node_takes_no_work(
    agent: FakeAgent, handled_by: Callable[[Callable[[UnitContext], Verdict]], None], woken: Woken
) -> None:
    def handler(_context: UnitContext) -> Verdict:
        agent.taking_work = False
        return Done({})

    handled_by(handler)
    job, _ = with_parts(2)
    assert work(None).endswith("(part 0): done")
    assert states(job) == ["done", "queued"]
    assert (work(None), woken) == (places.NOT_HERE, [])


@pytest.mark.parametrize("knocked", [False, True])
def test_a_slot_gives_way_to_a_canvas_unless_it_found_the_work_by_itself(
    agent: FakeAgent, knocked: bool, monkeypatch: pytest.MonkeyPatch, woken: Woken
) -> None:
    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, gather=lambda *_: None))
    job, (one, _) = with_parts(2)
    expect_message(total_of(job).pk)
    if knocked:
        IN_FLIGHT.knocked([one.pk])
    work(one.pk)
    assert states(job) == ["done", "done" if knocked else "queued"]
    assert woken == []


def test_a_slot_that_found_the_work_by_itself_lets_a_canvas_have_its_turn_before_long(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, woken: Woken
) -> None:
    monkeypatch.setattr(places, "SECONDS_BESIDE_CANVAS", -1.0)
    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, gather=lambda *_: None))
    job, (one, _) = with_parts(2)
    expect_message(total_of(job).pk)
    IN_FLIGHT.knocked([one.pk])
    work(one.pk)
    assert (states(job), woken) == (["done", "queued"], [(LAPTOP, one.pk)])


def test_a_slot_that_loses_the_hub_says_what_it_did_until_then(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, woken: Woken
) -> None:
    with_parts(2)
    found = [claim]

    def claim_once(*arguments: Any) -> Any:
        if not found:
            raise OperationalError("gone")
        return found.pop()(*arguments)

    monkeypatch.setattr(places, "claim", claim_once)
    assert work(None).endswith("(part 0): done; in all 1 done")


def test_while_a_slot_serves_a_message_it_is_not_free(
    agent: FakeAgent, handled_by: Callable[[Callable[[UnitContext], Verdict]], None], woken: Woken
) -> None:
    seen: list[int] = []

    def handler(_context: UnitContext) -> Verdict:
        seen.append(IN_FLIGHT.places)
        return Done({})

    handled_by(handler)
    with_parts(1)
    work(None)
    work_off(place_of(with_parts(1)[0]))
    assert (seen, IN_FLIGHT.places) == ([1, 1, 1], 0)


@pytest.mark.parametrize(("free", "messages"), [(0, 1), (1, 2), (2, 4), (9, 5)])
def test_units_are_worth_messages_for_twice_the_free_slots(
    monkeypatch: pytest.MonkeyPatch, free: int, messages: int
) -> None:
    monkeypatch.setattr(workflows, "free_places", lambda capability: free if capability == "stt" else 0)
    assert workflows.worth_a_message([1, 2, 3, 4, 5], "stt") == [1, 2, 3, 4, 5][:messages]


def test_one_unit_is_worth_a_message_without_a_look_and_the_hubs_absence_costs_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(_capability: str) -> int:
        raise OperationalError("gone")

    monkeypatch.setattr(workflows, "free_places", away)
    assert workflows.worth_a_message([7], "stt") == [7]
    assert workflows.worth_a_message([7, 8], "stt") == [7]


def test_slots_are_free_where_a_node_takes_work_of_the_capability_and_has_less_in_hand() -> None:
    laptop, workstation = start_node(LAPTOP), start_node(WORKSTATION)
    Node.objects.update(slots=3)
    with_parts(2, min_rung=0)
    assert (free_places("stt"), free_places("llm")) == (6, 0)
    assert claim(as_claimant(laptop)) is not None
    assert free_places("stt") == 5
    Node.objects.filter(pk=workstation.pk).update(hold_reason="drained by an operator")
    assert free_places("stt") == 2
    Node.objects.filter(pk=laptop.pk).update(slots=0)
    assert free_places("stt") == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("job_id", [2**62, 2**63, -1, "1; DROP TABLE jobs_job", {"job": 1}, None])
def test_a_place_of_no_job_ends_in_a_word_and_changes_nothing(agent: FakeAgent, job_id: Any) -> None:
    job, _ = with_parts(1)
    outcome = work_off(CanvasPlace(job_id, "part"))
    assert not (outcome.goes_on or outcome.not_here)
    assert states(job) == ["queued"]


@pytest.mark.parametrize("trouble", [OperationalError("gone"), RuntimeError("a bug")], ids=["hub away", "bug"])
def test_whatever_happens_a_place_ends_and_does_not_fail(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(places, "claim", fail)
    outcome = work_off(CanvasPlace(1, "part"))
    assert outcome.word.startswith("0 done, ") and not outcome.goes_on


class Door:
    """A bound task as a place sees it: what it is asked to send again, and whether it can be sent."""

    def __init__(self, retries: int = 0, sent: Exception | None = None) -> None:
        self.request = SimpleNamespace(retries=retries)
        self.options: dict[str, Any] = {}
        self._outcome = sent or Retry()

    def retry(self, **options: Any) -> None:
        self.options = options
        raise self._outcome


def taken_place(door: Door, queue: Any, *, goes_on: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    outcome = places.PlaceOutcome("1 done", goes_on=goes_on, not_here=not goes_on)
    monkeypatch.setattr(workflows, "work_off", lambda _place: outcome)
    return workflows.take_place(cast("Task[Any, Any]", door), CanvasPlace(1, "part"), queue)


@pytest.mark.parametrize(("goes_on", "seconds"), [(True, 0.0), (False, workflows.ELSEWHERE_SECONDS)])
def test_a_place_goes_on_elsewhere_by_the_queue_of_its_capability(
    monkeypatch: pytest.MonkeyPatch, goes_on: bool, seconds: float
) -> None:
    door = Door()
    with pytest.raises(Retry):
        taken_place(door, "cap.stt", goes_on=goes_on, monkeypatch=monkeypatch)
    assert (door.options["queue"], door.options["countdown"]) == ("cap.stt", seconds)


@pytest.mark.parametrize(
    "queue", [7, None, "celery", "cap.", "cap.STT", "cap.a b", "node.pi", "cap.stt\n", ["cap.stt"]]
)
def test_a_queue_that_no_capability_has_gets_nothing(monkeypatch: pytest.MonkeyPatch, queue: Any) -> None:
    door = Door()
    assert taken_place(door, queue, goes_on=False, monkeypatch=monkeypatch) == "1 done: given up"
    assert not door.options


def test_a_place_that_came_back_too_often_ends_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert taken_place(Door(MOST), "cap.stt", goes_on=False, monkeypatch=monkeypatch) == "1 done: given up"
    with pytest.raises(Retry):
        taken_place(Door(MOST - 1), "cap.stt", goes_on=False, monkeypatch=monkeypatch)


def test_a_place_that_cannot_be_sent_elsewhere_ends_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(sent=Reject(BrokerAway("refused")))
    word = taken_place(door, "cap.stt", goes_on=True, monkeypatch=monkeypatch)
    assert word == "1 done: the broker is away"


def close_parts(job: Job) -> None:
    """Ends the parts, and with them what the total waits for."""
    node = as_claimant(start_node(LAPTOP))
    while (part := claim(node, place_of(job))) is not None:
        settle(part.key, Done({}))


@pytest.fixture
def rung(django_capture_on_commit_callbacks: Any) -> Callable[[Job], list[tuple[str, list[int]]]]:
    """Ends the parts of a job; returns what was rung for meanwhile."""

    def close(job: Job) -> list[tuple[str, list[int]]]:
        fake_kinds.RUNG.clear()
        with django_capture_on_commit_callbacks(execute=True):
            close_parts(job)
        return list(fake_kinds.RUNG)

    return close


Rung = Callable[[Job], list[tuple[str, list[int]]]]


def test_who_opens_a_join_sends_its_message_unless_a_canvas_brings_it(rung: Rung) -> None:
    job, _ = with_parts(1)
    assert rung(job) == [("total", [total_of(job).pk])]
    another, _ = with_parts(1)
    assert expect_message(total_of(another).pk)
    Unit.objects.filter(job=job, stage="total").update(state="done")
    assert rung(another) == []
    assert states(another, "total") == ["queued"]


def test_a_body_that_comes_too_early_is_sent_by_who_opens_the_join(rung: Rung) -> None:
    job, _ = with_parts(2)
    total = total_of(job)
    expect_message(total.pk)
    assert work_join(total.pk) == places.STILL_BLOCKED
    total.refresh_from_db()
    assert (total.state, total.unsent, total.attempts_made) == ("blocked", True, 0)
    assert rung(job) == [("total", [total.pk])]


def test_a_body_that_comes_in_time_runs_the_join(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, rung: Rung) -> None:
    monkeypatch.setattr(places, "work", lambda unit_id: f"worked {unit_id}")
    job, _ = with_parts(1)
    expect_message(total_of(job).pk)
    rung(job)
    assert work_join(total_of(job).pk) == f"worked {total_of(job).pk}"


def test_a_canvas_that_could_not_be_sent_leaves_the_message_to_who_opens_the_join(rung: Rung) -> None:
    job, _ = with_parts(1)
    expect_message(total_of(job).pk)
    expect_no_message(total_of(job).pk)
    assert rung(job) == [("total", [total_of(job).pk])]


def test_nothing_is_expected_for_a_join_that_is_open(rung: Rung) -> None:
    job, _ = with_parts(1)
    rung(job)
    assert not expect_message(total_of(job).pk)
    expect_no_message(total_of(job).pk)
    assert not total_of(job).unsent


class Canvas:
    """What is sent, and what happens meanwhile."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None, absence: Exception | None = None) -> None:
        self.sent = 0
        self._meanwhile, self._absence = meanwhile, absence

    def apply_async(self, **_: object) -> None:
        self.sent += 1
        self._meanwhile()
        if self._absence:
            raise self._absence


def send(canvas: Canvas, job: Job) -> None:
    workflows.send_join(cast(Any, canvas), total_of(job).pk)


def test_the_canvas_of_a_join_that_was_opened_before_is_not_sent(rung: Rung) -> None:
    job, _ = with_parts(1)
    rung(job)
    canvas = Canvas()
    send(canvas, job)
    assert canvas.sent == 0


def test_a_join_that_opens_while_its_canvas_is_sent_has_one_message_the_bodys(rung: Rung) -> None:
    job, _ = with_parts(1)
    seen: list[Any] = []
    send(Canvas(lambda: seen.extend(rung(job))), job)
    assert (seen, states(job, "total")) == ([], ["queued"])


def test_a_join_that_opens_while_its_canvas_cannot_be_sent_is_found_by_whoever_looks_for_work(rung: Rung) -> None:
    job, _ = with_parts(1)
    seen: list[Any] = []
    send(Canvas(lambda: seen.extend(rung(job)), BrokerAway("refused")), job)
    node = Node.objects.get(name=LAPTOP)
    assert [unit.unit_id for unit in claimable(node.pk, node.capabilities, 9)] == [total_of(job).pk]
    assert seen == []


def test_a_body_while_the_hub_is_away_is_left_to_a_later_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(Unit.objects, "filter", away)
    assert work_join(1) == "the hub is away"


def test_a_canvas_is_sent_once_no_more_parts_come_and_again_only_where_none_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    gathered: list[int] = []
    gathers = replace(SUMS, gather=lambda _job_id, unit_id: gathered.append(unit_id))
    monkeypatch.setitem(kinds._KINDS, "sums", gathers)
    job = submitted()
    plan = claim(as_claimant(start_node(LAPTOP)), None)
    assert plan is not None
    with django_capture_on_commit_callbacks(execute=True):
        queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=ordinal) for ordinal in range(2)])
        advance(job.pk)
    assert gathered == []
    total = total_of(job).pk
    with django_capture_on_commit_callbacks(execute=True):
        settle(plan.key, Done({}))
    assert gathered == [total]
    expect_message(total)
    with django_capture_on_commit_callbacks(execute=True):
        advance(job.pk)
    assert gathered == [total]
    work_join(total)
    with django_capture_on_commit_callbacks(execute=True):
        advance(job.pk)
    assert gathered == [total, total]


def test_one_part_alone_takes_no_canvas(monkeypatch: pytest.MonkeyPatch, rung: Rung) -> None:
    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, gather=lambda *_: pytest.fail("a canvas was sent")))
    job = with_parts(1)[0]
    advance(job.pk)
    assert rung(job) == [("total", [total_of(job).pk])]


def test_a_canvas_that_cannot_be_made_spoils_no_result(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any, rung: Rung
) -> None:
    def broken(*_: int) -> None:
        raise OperationalError("gone just now")

    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, gather=broken))
    job = submitted()
    plan = claim(as_claimant(start_node(LAPTOP)), None)
    assert plan is not None
    queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=ordinal) for ordinal in range(2)])
    with django_capture_on_commit_callbacks(execute=True):
        assert settle(plan.key, Done({})) == "counted"
    assert rung(job) == [("total", [total_of(job).pk])]
