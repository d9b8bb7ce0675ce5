"""Results that were kept on disk: for the attempt they were made for, in the ledger that gave it, and nowhere else."""

from __future__ import annotations

import errno
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError

from clustercore.blobs.models import Hub
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.verdict import Done, Fail, Verdict
from clustercore.jobs.models import Attempt, Counter, Job, JobEvent, Unit
from clustercore.jobs.services import delivery
from clustercore.jobs.services import settle as settling
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.control import cancel_job
from clustercore.jobs.services.delivery import Delivery
from clustercore.jobs.services.submit import submit
from clustercore.jobs.services.work import spooled
from clustercore.nodes.domain.hooks import Agent, Spool
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.fakes.jobs.panel import PANEL, operation
from tests.fakes.nodes.agent import FakeAgent, agent_of
from tests.integration.jobs.conftest import with_parts

HUB, OTHER_HUB = "a" * 64, "b" * 64


@pytest.fixture
def agent(db: None, tmp_path: Path) -> FakeAgent:
    """The laptop, at a hub that was established."""
    Hub.objects.create(identity=HUB, signing_key="k" * 64, blob_url="http://127.0.0.1:1")
    return agent_of(start_node(LAPTOP), tmp_path / "spool")


def taken() -> Claimed:
    found = claim(as_claimant(start_node(LAPTOP)), None)
    assert found is not None
    return found


def keep(agent: FakeAgent, claimed: Claimed, verdict: Verdict | None = None) -> None:
    """The hub is away when it is done."""
    document = spooled(claimed, verdict or Done({"n": 1}), {"engine": "kept"}).to_json()
    agent.spools.of(claimed.hub).put(f"attempt-{claimed.key}", document)


def deliver(agent: FakeAgent) -> None:
    Delivery().deliver(cast(Agent, agent))


def forget_attempts() -> None:
    """What a restore does to whatever began after the backup: the units are as they were, the attempts never were."""
    Attempt.objects.all().delete()
    Unit.objects.filter(state="leased").update(state="queued", attempts_made=0)


def counted(name: str) -> int:
    return Counter.objects.filter(pk=name).values_list("value", flat=True).first() or 0


def test_a_kept_result_counts_for_its_attempt(agent: FakeAgent) -> None:
    _, (unit,) = with_parts(1)
    keep(agent, taken())
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.result) == ("done", {"n": 1})
    assert agent.spools.hubs() == []


class Failing:
    """Stands before `deliver_one`: it fails for the unit of this ordinal, as long as there are troubles."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ordinal: int, *troubles: Exception) -> None:
        self._ordinal, self._troubles = ordinal, list(troubles)
        self._deliver_one = delivery.deliver_one
        monkeypatch.setattr(delivery, "deliver_one", self)

    def __call__(self, agent: Agent, spool: Spool, name: str, document: Mapping[str, Any]) -> None:
        if document["ordinal"] == self._ordinal and self._troubles:
            raise self._troubles.pop(0)
        self._deliver_one(agent, spool, name, document)


def kept_parts(agent: FakeAgent, count: int) -> list[Unit]:
    _, parts = with_parts(count)
    for _ in parts:
        keep(agent, taken())
    return parts


def results(parts: list[Unit]) -> list[Any]:
    return [Unit.objects.get(pk=part.pk).result for part in parts]


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(errno.EMFILE, "too many open files")])
def test_a_result_that_this_machine_cannot_deliver_for_want_of_something_is_kept_and_delivered_later(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    parts = kept_parts(agent, 2)
    Failing(monkeypatch, 0, trouble)
    deliver(agent)
    assert results(parts) == [None, {"n": 1}]
    assert len(agent.short_of) == 1
    deliver(agent)
    assert results(parts) == [{"n": 1}, {"n": 1}]
    assert agent.spools.hubs() == []


def test_a_shortage_while_a_result_is_written_says_nothing_of_the_result(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = kept_parts(agent, 1)
    with monkeypatch.context() as patched:

        def short(*_: object, **__: object) -> None:
            raise MemoryError

        patched.setattr(settling, "settle", short)
        deliver(agent)
    deliver(agent)
    assert results(parts) == [{"n": 1}]


def test_a_result_that_can_never_be_delivered_is_set_aside_with_its_bytes_and_holds_up_no_other(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = kept_parts(agent, 2)
    Failing(monkeypatch, 0, KeyError("a bug"))
    deliver(agent)
    assert results(parts) == [None, {"n": 1}]
    assert agent.spools.hubs() == []
    (aside,) = tmp_path.rglob("*.broken")
    assert '"n": 1' in aside.read_text()
    assert "is set aside" in caplog.text


def test_a_job_that_somebody_has_locked_holds_up_no_result_of_another(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = kept_parts(agent, 3)
    locked = OperationalError("canceling statement due to lock timeout")
    locked.__cause__ = psycopg.errors.LockNotAvailable()
    Failing(monkeypatch, 1, locked)
    with pytest.raises(OperationalError, match="lock timeout"):
        deliver(agent)
    assert results(parts) == [{"n": 1}, None, {"n": 1}]
    deliver(agent)
    assert results(parts) == [{"n": 1}] * 3


def test_a_hub_that_is_away_again_is_not_asked_for_every_result(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = kept_parts(agent, 2)
    Failing(monkeypatch, 0, OperationalError("the server closed the connection"))
    with pytest.raises(OperationalError):
        deliver(agent)
    assert results(parts) == [None, None]


def test_a_result_of_another_cluster_is_never_counted_by_its_attempts_number(agent: FakeAgent) -> None:
    _, (unit,) = with_parts(1)
    held = taken()
    document = spooled(held, Done({"n": "secret words of another company"}), {}).to_json()
    foreign = document | {"key": str(uuid4()), "job_key": str(uuid4())}
    agent.spools.of(OTHER_HUB).put(f"attempt-{held.attempt_id}", foreign)
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.result) == ("leased", None)
    assert agent.spools.hubs() == [OTHER_HUB], "it waits for the hub that it is for"
    assert counted("results.unknown") == 0, "nothing of it was even offered"


def test_a_result_without_a_known_key_is_dropped_though_its_number_and_hub_fit(agent: FakeAgent) -> None:
    _, (unit,) = with_parts(1)
    held = taken()
    document = spooled(held, Done({"n": "of a former life"}), {}).to_json()
    agent.spools.of(HUB).put(f"attempt-{held.attempt_id}", document | {"key": str(uuid4()), "job_key": str(uuid4())})
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.result) == ("leased", None)
    assert agent.spools.hubs() == []
    assert counted("results.unknown") == 1


def test_after_a_restore_a_result_finds_its_open_unit_as_a_new_attempt(agent: FakeAgent) -> None:
    job, (unit, _) = with_parts(2)
    held = taken()
    keep(agent, held)
    forget_attempts()
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.result, unit.attempts_made) == ("done", {"n": 1}, 1)
    attempt = unit.attempts.get()
    assert (attempt.outcome, attempt.node_name, attempt.served_by) == ("done", LAPTOP, {"engine": "kept"})
    assert attempt.key != held.key
    assert JobEvent.objects.filter(job=job, name="result_placed").count() == 1


def test_after_a_restore_an_attempt_of_the_same_number_at_another_piece_stays_untouched(agent: FakeAgent) -> None:
    _, (first, second) = with_parts(2)
    held = taken()
    keep(agent, held)
    forget_attempts()
    Unit.objects.filter(pk=first.pk).update(state="done")
    again = claim(as_claimant(start_node(WORKSTATION)), None)
    assert again is not None and again.unit_id == second.pk
    Attempt.objects.filter(pk=again.attempt_id).update(id=held.attempt_id)
    deliver(agent)
    second.refresh_from_db()
    assert (second.state, second.result) == ("leased", None)


def test_after_a_restore_a_result_that_comes_first_ends_the_attempt_that_was_begun_again(agent: FakeAgent) -> None:
    _, (unit,) = with_parts(1)
    keep(agent, taken())
    forget_attempts()
    again = claim(as_claimant(start_node(WORKSTATION)), None)
    assert again is not None
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.attempts_made) == ("done", 2)
    assert Attempt.objects.get(pk=again.attempt_id).outcome == "superseded"


def changed_input(unit: Unit) -> None:
    Unit.objects.filter(pk=unit.pk).update(payload={"blob": "another cut"})


def changed_language(unit: Unit) -> None:
    Job.objects.filter(pk=unit.job_id).update(language="de")


def cancelled(unit: Unit) -> None:
    cancel_job(unit.job_id)


def another_job(unit: Unit) -> None:
    Job.objects.filter(pk=unit.job_id).update(key=uuid4())


@pytest.mark.parametrize("meanwhile", [changed_input, changed_language, cancelled, another_job])
def test_after_a_restore_a_result_that_fits_no_open_unit_is_dropped(
    agent: FakeAgent, meanwhile: Callable[[Unit], None]
) -> None:
    _, (unit,) = with_parts(1)
    keep(agent, taken())
    forget_attempts()
    meanwhile(unit)
    deliver(agent)
    unit.refresh_from_db()
    assert unit.result is None and unit.state in ("queued", "cancelled")
    assert not Attempt.objects.exists()


def test_after_a_restore_only_what_was_done_is_placed(agent: FakeAgent) -> None:
    _, (unit,) = with_parts(1)
    keep(agent, taken(), Fail("no words in it"))
    forget_attempts()
    deliver(agent)
    unit.refresh_from_db()
    assert unit.state == "queued"


def test_a_stage_whose_result_rests_on_other_units_is_done_again_after_a_restore(agent: FakeAgent) -> None:
    job, (unit,) = with_parts(1)
    Unit.objects.filter(pk=unit.pk).update(state="done")
    advance(job.pk)
    total = taken()
    assert total.stage == "total"
    keep(agent, total)
    forget_attempts()
    deliver(agent)
    assert Unit.objects.get(pk=total.unit_id).state == "queued"


def test_a_hub_set_up_anew_over_a_restored_ledger_gets_what_was_kept_for_it(agent: FakeAgent) -> None:
    _, (unit,) = with_parts(1)
    keep(agent, taken())
    forget_attempts()
    Hub.objects.update(identity=OTHER_HUB)
    deliver(agent)
    unit.refresh_from_db()
    assert unit.state == "done"
    assert agent.spools.hubs() == []


ASKED = {"plan": 1, "ask": 8, "vote": 2, "conclude": 1}


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch, db: None) -> Job:
    """A job of two operations of a panel, whose candidates' answers stand by themselves."""
    stages = tuple(replace(stage, self_contained=stage.name == "ask") for stage in PANEL.stages)
    monkeypatch.setitem(kinds._KINDS, "panel", replace(PANEL, stages=stages))
    job, _ = submit(None, JobRequest(kind="panel", title="which way?"), backlog_limit=100)
    return job


PLANNED = Done({}, then=[*operation(0), *operation(1)])


def queued(job: Job) -> dict[str, int]:
    return dict(Tally(Unit.objects.filter(job=job).values_list("stage", flat=True)))


def state_of(job: Job, stage: str, ordinal: int) -> str:
    return str(Unit.objects.get(job=job, stage=stage, ordinal=ordinal).state)


def test_what_a_kept_result_queues_is_queued_once_however_often_it_is_delivered(agent: FakeAgent, panel: Job) -> None:
    planned = taken()
    keep(agent, planned, PLANNED)
    assert queued(panel) == {"plan": 1, "conclude": 1}
    deliver(agent)
    assert queued(panel) == ASKED
    before = list(Unit.objects.order_by("pk").values())
    keep(agent, planned, PLANNED)
    deliver(agent)
    assert (queued(panel), list(Unit.objects.order_by("pk").values())) == (ASKED, before)
    assert counted("results.fenced") == 1


def test_a_plan_that_a_restore_undid_is_made_again_and_queues_once(agent: FakeAgent, panel: Job) -> None:
    keep(agent, taken(), PLANNED)
    forget_attempts()
    deliver(agent)
    assert queued(panel) == {"plan": 1, "conclude": 1}
    keep(agent, taken(), PLANNED)
    deliver(agent)
    assert queued(panel) == ASKED


def test_after_a_restore_answers_that_two_nodes_had_kept_close_the_inputs_of_their_vote_and_of_no_other(
    agent: FakeAgent, panel: Job, tmp_path: Path
) -> None:
    other = agent_of(start_node(WORKSTATION), tmp_path / "other spool")
    keep(agent, taken(), PLANNED)
    deliver(agent)
    first, second = taken(), taken()
    keep(agent, first, Done({"from": "laptop"}))
    keep(other, second, Done({"from": "workstation"}))
    lost = spooled(second, Done({"from": "an operation that was never asked"}), {}).to_json()
    other.spools.of(HUB).put("attempt-later", lost | {"key": str(uuid4()), "ordinal": 40})
    waits = spooled(second, Done({"from": "one that waits still"}), {}).to_json()
    other.spools.of(HUB).put("attempt-early", waits | {"key": str(uuid4()), "ordinal": 5})
    forget_attempts()
    deliver(agent)
    assert state_of(panel, "vote", 0) == "blocked"
    deliver(other)
    kept = Unit.objects.filter(job=panel).exclude(result=None).exclude(stage="plan").order_by("pk")
    assert [(one.stage, one.ordinal, one.result) for one in kept] == [
        ("ask", first.ordinal, {"from": "laptop"}),
        ("ask", second.ordinal, {"from": "workstation"}),
    ]
    assert (state_of(panel, "vote", 0), state_of(panel, "vote", 1), state_of(panel, "ask", 5)) == (
        "queued",
        "blocked",
        "blocked",
    )
    assert (agent.spools.hubs(), other.spools.hubs(), queued(panel)) == ([], [], ASKED)


def test_after_a_restore_a_vote_is_taken_again_from_what_its_inputs_are_now(agent: FakeAgent, panel: Job) -> None:
    keep(agent, taken(), PLANNED)
    deliver(agent)
    for _ in range(2):
        keep(agent, taken())
        deliver(agent)
    vote = taken()
    assert vote.stage == "vote"
    keep(agent, vote, Done({"of": "answers that were lost"}))
    forget_attempts()
    Unit.objects.filter(job=panel, stage="ask", state="done").update(state="queued", result=None)
    Unit.objects.filter(pk=vote.unit_id).update(state="blocked", open_inputs=4, done_inputs=0)
    deliver(agent)
    unit = Unit.objects.get(pk=vote.unit_id)
    assert (unit.state, unit.result) == ("blocked", None)
