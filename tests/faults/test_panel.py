"""A panel of four candidates on two nodes, of which one dies at any step: right order, right result, each once."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from typing import Any

import pytest

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.models import Job, JobEvent, Unit
from clustercore.jobs.services.submit import submit
from tests.cast import LAPTOP, WORKSTATION
from tests.fakes.jobs.panel import CANDIDATES, QUORUM
from tests.faults.cluster import Cluster, attempts_at
from tests.faults.conftest import Record
from tests.faults.panel import BEGUN, PANEL, RECORDED, value_of
from tests.faults.waiting import until
from tests.faults.workers import Worker

pytestmark = pytest.mark.services

OPERATIONS = 2
SETTINGS = {"CLUSTERCORE_HEARTBEAT_SECONDS": "1", "CLUSTERCORE_LEASE_SECONDS": "4", "CLUSTERCORE_SLOTS": "2"}
CONFIGURATION = "heartbeat 1 s, lease 4 s, two slots a node"
EVERY_STAGE = ("plan", "ask", "vote", "conclude")
STEPS = {
    "claiming": EVERY_STAGE,
    "claimed": EVERY_STAGE,
    "handling": EVERY_STAGE,
    "answered": EVERY_STAGE,
    "queueing": ("plan",),
    "opening": ("ask", "vote", "conclude"),
    "ringing": ("ask", "vote", "conclude"),
}
"""Before the claim commits, after it, before the handler, after it, between a result and what it queues, while a unit
that waited is opened, and after the commit before the message; and of which stages a unit comes to that step."""
VICTIMS = ("the one at the step", "the other one")
Results = dict[tuple[str, int], Any]
SEED = int(os.environ.get("CLUSTERCORE_FAULT_SEED", time.time_ns() % 1_000_000))


@pytest.fixture(autouse=True)
def panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds._KINDS, PANEL.name, PANEL)


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> random.Random:
    """Chance of this test's own, by the seed, which a failure shows."""
    request.node.add_report_section("setup", "seed", f"CLUSTERCORE_FAULT_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


def unit_at(step: str, drawn: random.Random) -> tuple[str, int]:
    """A unit that comes to the step."""
    stage = drawn.choice(STEPS[step])
    first = CANDIDATES if (step, stage) == ("opening", "ask") else 0
    last = {"ask": CANDIDATES * OPERATIONS, "vote": OPERATIONS}.get(stage, 1)
    if (step, stage) == ("ringing", "ask"):
        return stage, drawn.choice([0, *range(CANDIDATES, last)])
    return stage, drawn.randrange(first, last)


def halted(cluster: Cluster, step: str, stage: str, ordinal: int) -> tuple[Job, Worker, Worker]:
    """A job of which a unit stands still at the step; the worker that has come to it, and the other one."""
    cluster.start(WORKSTATION, LAPTOP, **SETTINGS)
    cluster.pull(seconds="0.3", halt=json.dumps({"step": step, "stage": stage, "ordinal": ordinal}))
    job = ask_panel()
    reached = cluster.strings / "halted"
    until(reached.exists, 30, f"nobody came to {step} of {stage} {ordinal}")
    other = ({WORKSTATION, LAPTOP} - {reached.read_text()}).pop()
    return job, cluster.workers[reached.read_text()], cluster.workers[other]


def ask_panel() -> Job:
    request = JobRequest(kind="panel", title="which way?", parameters={"operations": OPERATIONS})
    job, _ = submit(None, request, backlog_limit=1000)
    return job


def kill_at(cluster: Cluster, step: str, victim: str, drawn: random.Random) -> tuple[Job, dict[str, object]]:
    """A job that is done though a node was killed at the step; and what was seen."""
    stage, ordinal = unit_at(step, drawn)
    job, here, other = halted(cluster, step, stage, ordinal)
    (here if victim == VICTIMS[0] else other).kill_tree()
    killed_at = time.time()
    cluster.pull(go="on")
    cluster.until_done(job, 40)
    return job, {"unit": f"{stage} {ordinal}", "done_after_s": round(time.time() - killed_at, 2)}


def assert_right(job: Job) -> None:
    """Everything once, in order, and computed from what it names."""
    results: Results = {(unit.stage, unit.ordinal): unit.result for unit in Unit.objects.filter(job=job, state="done")}
    assert Counter(stage for stage, _ in results) == {
        "plan": 1,
        "ask": CANDIDATES * OPERATIONS,
        "vote": OPERATIONS,
        "conclude": 1,
    }
    recorded = JobEvent.objects.filter(job=job, name=RECORDED).values_list("unit__stage", "unit__ordinal")
    assert Counter(recorded) == dict.fromkeys(results, 1), "a result was recorded more than once, or never"
    before = 0
    for number in range(OPERATIONS):
        before = assert_vote(results, number, before)
    votes = [results["vote", number]["value"] for number in range(OPERATIONS)]
    assert results["conclude", 0] == {"of": list(range(OPERATIONS)), "value": sum(votes)}
    assert_order(job)
    job.refresh_from_db()
    assert (job.state, job.gaps, Unit.objects.filter(job=job).exclude(state="done").count()) == ("done", 0, 0)


def assert_vote(results: Results, number: int, before: int) -> int:
    """What it came to."""
    asked = range(number * CANDIDATES, (number + 1) * CANDIDATES)
    for ordinal in asked:
        assert results["ask", ordinal] == {"value": value_of(ordinal, before)}
    of = results["vote", number]["of"]
    assert len(of) >= QUORUM
    assert of == sorted(set(of) & set(asked)), "an input was used twice, or is another operation's"
    value = sum(value_of(ordinal, before) for ordinal in of)
    assert results["vote", number]["value"] == value
    return value


def assert_order(job: Job) -> None:
    """By the order in which the ledger was told."""
    begun, ended = order_of(job, BEGUN), order_of(job, RECORDED)
    for number in range(OPERATIONS):
        asked = [("ask", ordinal) for ordinal in range(number * CANDIDATES, (number + 1) * CANDIDATES)]
        answered = sorted(ended[one] for one in asked)
        assert begun["vote", number] > answered[QUORUM - 1], "it voted before there was a quorum"
        first = min(begun[one] for one in asked)
        assert not number or first > ended["vote", number - 1], "a candidate began before the vote that it rests on"
    assert begun["conclude", 0] > max(ended[one] for one in ended if one[0] != "conclude")


def order_of(job: Job, name: str) -> dict[tuple[str, int], int]:
    """Of each unit the number of its first event of that name."""
    events = JobEvent.objects.filter(job=job, name=name).order_by("-pk")
    return {(stage, ordinal): pk for stage, ordinal, pk in events.values_list("unit__stage", "unit__ordinal", "pk")}


def test_a_panel_of_which_a_node_dies_is_done_in_order_and_each_unit_once(
    cluster: Cluster, drawn: random.Random, record: Record
) -> None:
    """One draw of all below."""
    step, victim = drawn.choice(list(STEPS)), drawn.choice(VICTIMS)
    job, seen = kill_at(cluster, step, victim, drawn)
    record("panel", configuration=CONFIGURATION, seed=SEED, step=step, killed=victim, **seen)
    assert_right(job)


@pytest.mark.fault
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("step", STEPS)
def test_whichever_node_dies_at_whichever_step(
    cluster: Cluster, drawn: random.Random, record: Record, step: str, victim: str
) -> None:
    job, seen = kill_at(cluster, step, victim, drawn)
    record(
        f"panel-{step}-{VICTIMS.index(victim)}",
        configuration=CONFIGURATION,
        seed=SEED,
        step=step,
        killed=victim,
        **seen,
    )
    assert_right(job)


def test_an_answer_that_comes_after_the_vote_from_a_node_that_was_frozen_changes_nothing(
    cluster: Cluster, drawn: random.Random, record: Record
) -> None:
    """It stands still with its answer in hand, until the job is done without it."""
    late = drawn.randrange(CANDIDATES * OPERATIONS)
    job, zombie, _ = halted(cluster, "answered", "ask", late)
    zombie.signal(signal.SIGSTOP)
    cluster.until_done(job, 40)
    assert_right(job)
    before = list(Unit.objects.filter(job=job).order_by("pk").values())
    cluster.pull(go="on")
    zombie.signal(signal.SIGCONT)
    first = attempts_at(Unit.objects.get(job=job, stage="ask", ordinal=late))[0]

    def fenced() -> bool:
        first.refresh_from_db()
        return first.fenced_results == 1

    until(fenced, 15, "the late answer was not counted as late")
    record("panel-late", configuration=CONFIGURATION, seed=SEED, unit=f"ask {late}")
    assert first.outcome == "expired"
    assert list(Unit.objects.filter(job=job).order_by("pk").values()) == before
    assert_right(job)
    zombie.until_taking_work()
