"""What the node agent decides, with its ledger and its consumer in memory."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery.worker import state as worker_state
from django.db import OperationalError

from clustercore.config.environment import Environment
from clustercore.embedded.domain.registry import Registry, SoleEntry
from clustercore.embedded.domain.shortage import ResourceShortage
from clustercore.nodes.adapters import agent as agent_module
from clustercore.nodes.adapters import hook_calls, intake, inventory_watch, lease_thread, self_tests
from clustercore.nodes.adapters.agent import NodeAgent, NotANodeError, current_agent
from clustercore.nodes.domain import contracts
from clustercore.nodes.domain.engine import JsonObject
from clustercore.nodes.domain.facts import NodeFacts
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.domain.self_test import _SELF_TESTS, Judgement, register_self_test
from tests.fakes.nodes.engines import HangingInventory
from tests.fakes.nodes.ledger import MemoryLedger, RememberedConsumer
from tests.fakes.nodes.polling import until

ECHO = "tests.fakes.nodes.engines:Echo"
BROKEN = "tests.fakes.nodes.engines:Broken"
EVERYTHING = frozenset({"cap.any", "cap.echo", "node.one"})


class Running:
    """An agent with what it talks to."""

    def __init__(self, data_directory: Path) -> None:
        self.ledger = MemoryLedger()
        self.consumer = RememberedConsumer()
        self.exits: list[int] = []
        self._data_directory = data_directory
        self._agents: list[NodeAgent] = []

    def start(self, engines: tuple[str, ...] = (ECHO, BROKEN)) -> NodeAgent:
        environment = Environment(
            data_dir=self._data_directory,
            node_name="one",
            engines=engines,
            heartbeat_seconds=0.05,
            lease_seconds=0.4,
        )
        agent = NodeAgent(environment, self.ledger, self.consumer, slots=2, end_worker=self.exits.append)  # type: ignore[arg-type]
        self._agents.append(agent)
        agent.start()
        return agent

    def close(self) -> None:
        self.ledger.away = False
        for agent in self._agents:
            agent.end()

    def takes(self, queues: frozenset[str]) -> Callable[[], bool]:
        return lambda: self.consumer.wanted.queues == queues


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(hook_calls, "agent_hooks", Registry())
    monkeypatch.setattr(lease_thread, "lease_extenders", Registry())
    made = Running(tmp_path)
    yield made
    made.close()
    agent_module._CURRENT.clear()


def test_outside_a_worker_there_is_no_agent() -> None:
    with pytest.raises(NotANodeError, match="clustercore node"):
        current_agent()


def test_it_consumes_what_it_can_do_once_it_has_registered(running: Running) -> None:
    agent = running.start()
    until(running.takes(EVERYTHING))
    assert running.consumer.wanted.prefetch == 2
    as_hooks_see_it: Agent = current_agent()
    assert as_hooks_see_it is agent
    assert (agent.node_id, agent.taking_work) == (7, True)
    facts = running.ledger.registrations[0]
    assert isinstance(facts, NodeFacts)
    assert facts.instance == agent.instance


def test_it_says_which_work_its_process_knows(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "known_work", SoleEntry(lambda: ("sums/part/2",)))
    running.start()
    until(running.takes(EVERYTHING))
    assert running.ledger.registrations[0].contracts == ("sums/part/2",)


def test_a_barred_capability_is_left_while_the_rest_goes_on(running: Running) -> None:
    agent = running.start()
    until(running.takes(EVERYTHING))
    agent.bar({"echo": "a better node is free"})
    assert running.takes(frozenset({"cap.any", "node.one"}))()
    until(lambda: ("", "echo: a better node is free") in running.ledger.beats)
    agent.bar({})
    assert running.takes(EVERYTHING)()


def test_a_hold_takes_nothing_and_says_why(running: Running) -> None:
    agent = running.start()
    until(running.takes(EVERYTHING))
    agent.intake.hold("heat", "87 degrees")
    assert running.takes(frozenset())()
    assert not agent.taking_work
    until(lambda: ("87 degrees", "") in running.ledger.beats)
    agent.intake.release("heat")
    assert running.takes(EVERYTHING)()


def test_a_hold_with_a_time_ends_by_itself(running: Running) -> None:
    agent = running.start()
    until(running.takes(EVERYTHING))
    agent.intake.hold("heat", "87 degrees", seconds=0.3)
    assert running.takes(frozenset())()
    until(running.takes(EVERYTHING))
    assert agent.intake.hold_reason == ""


def test_a_machine_that_is_short_of_something_is_held_and_goes_on(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intake, "SHORTAGE_SECONDS", 0.2)
    agent = running.start()
    until(running.takes(EVERYTHING))
    asked: list[int] = []

    def refuse(*_: object) -> object:
        asked.append(1)
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(running.ledger, "beat", refuse)
        until(lambda: len(asked) >= 3)
        assert agent.intake.hold_reason == "this machine has no file descriptors left; work is taken up again by itself"
    until(running.takes(EVERYTHING))
    assert running.exits == []
    assert caplog.text.count("no file descriptors left") == 1


def test_a_drained_node_registers_and_waits(running: Running) -> None:
    running.ledger.drained = True
    agent = running.start()
    until(lambda: agent.intake.hold_reason == "drained by an operator")
    assert running.takes(frozenset())()
    running.ledger.drained = False
    until(running.takes(EVERYTHING))


def test_a_hub_that_is_away_at_the_start_is_waited_for(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.ledger.away = True
    with caplog.at_level(logging.INFO):
        running.start()
        until(lambda: "database is away" in caplog.text)
        running.ledger.away = False
        until(running.takes(EVERYTHING))
    assert running.exits == []


def test_a_hub_that_goes_away_is_told_once_and_waited_for(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    agent = running.start()
    until(running.takes(EVERYTHING))
    with caplog.at_level(logging.INFO):
        running.ledger.away = True
        until(running.takes(frozenset()))
        assert agent.intake.hold_reason == "the hub's database does not answer"
        running.ledger.away = False
        until(running.takes(EVERYTHING))
    assert caplog.text.count("database is away") == 1
    assert caplog.text.count("database is back") == 1


def test_a_name_that_is_taken_ends_the_worker(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.ledger.name_taken = True
    running.start()
    until(lambda: running.exits == [1])
    assert "running already" in caplog.text
    assert running.takes(frozenset())()


def test_a_row_that_was_deleted_is_written_again(running: Running) -> None:
    running.start()
    until(running.takes(EVERYTHING))
    running.ledger.known = False
    until(lambda: len(running.ledger.registrations) == 2)


def test_a_hook_that_fails_is_told_once_and_the_others_run(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    class Hook:
        def on_start(self, agent: Agent) -> None:
            calls.append(f"start {agent.node_id}")

        def on_tick(self, agent: Agent) -> None:
            calls.append("tick")

        def on_hand_back(self, agent: Agent) -> None:
            calls.append("hand back")

    class Failing(Hook):
        def on_tick(self, agent: Agent) -> None:
            super().on_tick(agent)
            raise ValueError("a bad sensor")

    hooks = (Failing(), Hook())
    monkeypatch.setattr(hook_calls, "agent_hooks", Registry(*hooks))
    agent = running.start()
    until(lambda: calls.count("tick") >= 6)
    agent.end()
    assert calls[:2] == ["start 7", "start 7"]
    assert calls[-2:] == ["hand back", "hand back"]
    assert caplog.text.count("Failing.on_tick failed") == 1
    assert running.ledger.offline == [agent.instance]


def test_the_hook_that_began_last_is_the_first_to_hand_back(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_back: list[str] = []

    class Hook(Counted):
        def __init__(self, room: str) -> None:
            super().__init__()
            self._room = room

        def on_hand_back(self, agent: Agent) -> None:
            handed_back.append(self._room)

    hooks: Registry[Hook] = Registry()
    for room in ("nodes", "jobs"):
        hooks.register(Hook(room))
    monkeypatch.setattr(hook_calls, "agent_hooks", hooks)
    agent = running.start()
    until(running.takes(EVERYTHING))
    agent.end()
    assert handed_back == ["jobs", "nodes"]


class Counted:
    """A hook and a lease extender that count what they are called for; the hook may hang."""

    def __init__(self) -> None:
        self.extended = self.ticks = self.starts = 0
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.troubles: list[Exception] = []

    def extend(self, agent: Agent) -> bool:
        self.extended += 1
        return True

    def on_start(self, agent: Agent) -> None:
        self.starts += 1
        if self.troubles:
            raise self.troubles.pop()

    def on_tick(self, agent: Agent) -> None:
        self.ticks += 1
        self.goes_on.wait()

    def on_hand_back(self, agent: Agent) -> None:
        """Holds nothing."""


@pytest.fixture
def counted(running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    found = Counted()
    monkeypatch.setattr(hook_calls, "agent_hooks", Registry(found))
    monkeypatch.setattr(lease_thread, "lease_extenders", Registry(found))
    yield found
    found.goes_on.set()


TWO_LEASES = 0.8


def extends_for_two_leases(counted: Counted) -> bool:
    """Whether the leases are extended again and again for as long."""
    began, ended = counted.extended, time.monotonic() + TWO_LEASES
    until(lambda: time.monotonic() > ended)
    return counted.extended >= began + 4


def test_an_engine_that_hangs_when_asked_what_it_has_costs_no_lease_and_no_sweep(
    running: Running, counted: Counted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inventory_watch, "INVENTORY_SECONDS", 0.05)
    monkeypatch.setattr(HangingInventory, "asked", 0)
    HangingInventory.let_go.clear()
    running.start((ECHO, "tests.fakes.nodes.engines:HangingInventory"))
    try:
        until(lambda: HangingInventory.asked > 1)
        ticks, beats = counted.ticks, len(running.ledger.beats)
        assert extends_for_two_leases(counted)
        assert counted.ticks >= ticks + 4
        assert len(running.ledger.beats) >= beats + 4
        until(lambda: caplog.text.count("what it said last counts") == 1)
    finally:
        HangingInventory.let_go.set()


def test_a_sweep_or_whatever_else_a_hook_does_costs_no_lease_however_long_it_takes(
    running: Running, counted: Counted
) -> None:
    agent = running.start()
    until(running.takes(EVERYTHING))
    counted.goes_on.clear()
    until(lambda: counted.ticks > 0)
    assert extends_for_two_leases(counted)
    assert (agent.taking_work, running.exits) == (True, [])


def busy() -> OperationalError:
    """What Django raises when somebody else holds a lock for too long."""
    error = OperationalError("canceling statement due to lock timeout")
    error.__cause__ = psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")
    return error


def test_a_database_that_is_busy_is_not_away(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = running.start()
    until(running.takes(EVERYTHING))
    asked: list[int] = []

    def refuse(*_: object) -> object:
        asked.append(1)
        raise busy()

    with monkeypatch.context() as patched:
        patched.setattr(running.ledger, "beat", refuse)
        until(lambda: len(asked) >= 3)
        assert (agent.taking_work, agent.intake.hold_reason) == (True, "")
    beats = len(running.ledger.beats)
    until(lambda: len(running.ledger.beats) > beats)
    assert "away" not in caplog.text
    assert caplog.text.count("database was busy") == 1


@pytest.mark.parametrize("trouble", [busy(), OperationalError("the server closed the connection")])
def test_what_an_earlier_process_left_is_settled_before_the_first_unit_though_the_database_does_not_let_it(
    running: Running, counted: Counted, trouble: Exception
) -> None:
    counted.troubles = [trouble, trouble]
    running.start()
    until(running.takes(EVERYTHING))
    assert counted.starts == 3


def test_a_node_that_has_ended_does_not_beat_itself_back_online(running: Running) -> None:
    agent = running.start()
    until(lambda: bool(running.ledger.beats))
    agent.end()
    beats = len(running.ledger.beats)
    agent._registration.beat("", "")
    assert len(running.ledger.beats) == beats


def test_a_registration_that_comes_through_after_the_node_went_offline_does_not_bring_it_back(running: Running) -> None:
    agent = running.start()
    until(lambda: bool(running.ledger.beats))
    agent.end()
    agent._registration.write(running.ledger.inventories[0])
    assert running.ledger.offline == [agent.instance, agent.instance]


def test_what_a_slot_has_in_hand_is_counted(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = running.start()
    with monkeypatch.context() as patched:
        patched.setattr(worker_state, "active_requests", {"one message", "another"})
        assert agent.busy == 2
    assert agent.busy == 0


def test_each_usable_model_is_tried_once_and_the_result_kept(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[int] = []

    def request() -> JsonObject:
        requests.append(1)
        return {"text": "hello"}

    def judge(result: JsonObject) -> Judgement:
        return Judgement(passed=result["echo"] == {"text": "hello"}, amount=2.0, note="heard")

    monkeypatch.setitem(_SELF_TESTS, "echo", None)
    register_self_test("echo", request, judge)
    running.start()
    until(lambda: bool(running.ledger.self_test))
    result: dict[str, Any] = running.ledger.self_test["models"]["echo:plain"]
    assert (result["passed"], result["device"], result["note"]) == (True, "cpu", "heard")
    assert 0 < result["real_time_factor"] < 2.5
    assert running.ledger.self_test["inventory"] == ["echo:plain"]
    running.start().end()
    assert len(requests) == 1


def test_a_machine_that_is_short_of_something_says_nothing_of_its_models(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = [ResourceShortage("no memory left"), OSError(errno.ENOSPC, "disk full")]

    def request() -> JsonObject:
        if errors:
            raise errors.pop()
        return {"text": "hello"}

    monkeypatch.setattr(self_tests, "SHORTAGE_SECONDS", 0.05)
    monkeypatch.setitem(_SELF_TESTS, "echo", None)
    register_self_test("echo", request, lambda _: Judgement(passed=True, amount=2.0))
    running.start()
    until(lambda: bool(running.ledger.self_test))
    assert running.ledger.self_test["models"]["echo:plain"]["passed"]
    assert caplog.text.count("The self-test is put off: this machine has no ") == 2
