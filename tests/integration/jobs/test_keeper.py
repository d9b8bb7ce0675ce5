"""What a node does for its leases at each tick, on a clock that goes on while the machine is suspended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT, Holding
from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.models import Attempt, Sweep
from clustercore.jobs.services import held_leases, lease_hook
from clustercore.jobs.services.available import Waiting
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import pause_job
from clustercore.jobs.services.held_leases import HeldLeases
from clustercore.jobs.services.lease_hook import LeaseHook
from clustercore.jobs.services.sweep import sweep
from clustercore.jobs.services.work_finder import WorkFinder
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.nodes.agent import FakeAgent, agent_of
from tests.integration.jobs.conftest import with_parts

pytestmark = pytest.mark.services


@dataclass
class BusyAgent(FakeAgent):
    """One with something in hand, that takes nothing more."""

    taking_work: bool = False
    hosts: Any = field(default_factory=lambda: SimpleNamespace(resident_mb=dict, kill=lambda *_: None))


@dataclass
class IdleAgent(BusyAgent):
    """One that would take something."""

    taking_work: bool = True
    slots: int = 1
    capabilities: tuple[str, ...] = ("media", "stt")
    barred: list[Any] = field(default_factory=list)

    def bar(self, reasons: Mapping[str, str]) -> None:
        self.barred.append(dict(reasons))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[BusyAgent]:
    found = agent_of(start_node(LAPTOP), tmp_path)
    yield BusyAgent(found.node_id, found.name, found.instance, found.boot_id, found.spools)
    for holding in IN_FLIGHT.all():
        IN_FLIGHT.remove(holding.key)


def test_after_the_machine_was_suspended_a_node_extends_before_it_sweeps(
    agent: BusyAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [1000.0]
    for module in (lease_hook, held_leases):
        monkeypatch.setattr(module, "elapsed_seconds", lambda: seconds[0])
    with_parts(1)
    held = claim(as_claimant(Node.objects.get(pk=agent.node_id)), None)
    assert held is not None
    IN_FLIGHT.add(Holding(held.key, held.unit_id))
    leases = HeldLeases()
    hook = LeaseHook(lambda _name, _waiting: "", leases)
    leases.extend(cast(Agent, agent))
    hook.on_tick(cast(Agent, agent))
    seconds[0] += 5.0
    leases.extend(cast(Agent, agent))
    seconds[0] += 16.0
    leases.extend(cast(Agent, agent))
    hook.on_tick(cast(Agent, agent))
    # The machine is suspended for an hour, of which its other clock knows nothing.
    seconds[0] += 3600.0
    Attempt.objects.update(lease_until=F("lease_until") - timedelta(hours=1))
    Sweep.objects.update(swept_at=F("swept_at") - timedelta(hours=1))
    hook.on_tick(cast(Agent, agent))
    assert Attempt.objects.get(pk=held.attempt_id).outcome == "live"


@pytest.fixture
def idle(agent: BusyAgent) -> IdleAgent:
    return IdleAgent(agent.node_id, agent.name, agent.instance, agent.boot_id, agent.spools)


def test_where_nothing_runs_an_idle_node_asks_for_that_alone_and_hears_of_work_at_the_next_tick(
    idle: IdleAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [1000.0]
    monkeypatch.setattr(lease_hook, "elapsed_seconds", lambda: seconds[0])
    knocked: SimpleQueue[Sequence[Waiting]] = SimpleQueue()

    def wake_up(_name: str, waiting: Sequence[Waiting]) -> str:
        knocked.put(waiting)
        return ""

    hook = LeaseHook(wake_up, HeldLeases())
    Sweep.objects.create(swept_at=Now())
    hook.on_tick(cast(Agent, idle))
    seconds[0] += 1.0
    # What is prepared passes Django by: nothing else is asked.
    with CaptureQueriesContext(connection) as asked:
        hook.on_tick(cast(Agent, idle))
    assert (len(asked), idle.barred) == (0, [{}, {}])
    _, (unit,) = with_parts(1)
    seconds[0] += 1.0
    hook.on_tick(cast(Agent, idle))
    assert [waiting.unit_id for waiting in knocked.get(timeout=10)] == [unit.pk]
    IN_FLIGHT.answered(unit.pk)


def test_a_look_wakes_as_many_slots_as_are_free_and_no_wake_up_is_sent_twice(idle: IdleAgent) -> None:
    knocked: SimpleQueue[list[int]] = SimpleQueue()

    def wake_up(_name: str, waiting: Sequence[Waiting]) -> str:
        knocked.put([unit.unit_id for unit in waiting])
        return ""

    idle.slots = 3
    _, parts = with_parts(4)
    ids = [part.pk for part in parts]
    finder = WorkFinder(wake_up)
    with IN_FLIGHT.in_place():
        finder.look(cast(Agent, idle))
        assert knocked.get(timeout=10) == ids[:2]
        finder.look(cast(Agent, idle))
        IN_FLIGHT.answered(ids[0])
        assert knocked.empty()
        finder._knocker.submit(str).result(10)
        finder.look(cast(Agent, idle))
        assert len(knocked.get(timeout=10)) == 1
    for unit_id in IN_FLIGHT.pending_wake_ups():
        IN_FLIGHT.answered(unit_id)


def test_what_a_wake_up_fails_with_is_logged_and_told_where_the_brokers_absence_is(
    idle: IdleAgent, caplog: pytest.LogCaptureFixture
) -> None:
    def wake_up(_name: str, _waiting: Sequence[Waiting]) -> str:
        raise KeyError("a kind")

    with_parts(1)
    finder = WorkFinder(wake_up)
    finder.look(cast(Agent, idle))
    finder._knocker.submit(str).result(10)
    assert finder.why_no_broker(elapsed_seconds()) == "KeyError: 'a kind'"
    assert "Waking this node's own slots failed" in caplog.text
    for unit_id in IN_FLIGHT.pending_wake_ups():
        IN_FLIGHT.answered(unit_id)


def test_a_node_whose_slots_are_all_in_use_asks_for_nothing(idle: IdleAgent) -> None:
    def wake_up(_name: str, _waiting: Sequence[Waiting]) -> str:
        raise AssertionError("a slot goes on by itself")

    with_parts(2)
    with IN_FLIGHT.in_place(), CaptureQueriesContext(connection) as asked:
        WorkFinder(wake_up).look(cast(Agent, idle))
    assert (len(asked), idle.barred) == (0, [])


def test_a_piece_of_a_paused_job_is_taken_back_like_any_other(agent: BusyAgent) -> None:
    job, _ = with_parts(1)
    held = claim(as_claimant(Node.objects.get(pk=agent.node_id)), None)
    assert held is not None
    pause_job(job.pk)
    Attempt.objects.update(lease_until=F("lease_until") - timedelta(minutes=1))
    sweep(read_clocks(), 20.0, None)
    assert Attempt.objects.get(pk=held.attempt_id).outcome == "expired"
