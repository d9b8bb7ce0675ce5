"""What a slot says of its try where the ledger had its reasons not to count it, and how a handler queues."""

from __future__ import annotations

import errno
import time
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import OperationalError, connections

from clustercore.jobs.adapters.attempts_in_flight import Holding, may_be_extended
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.spooling import SpooledResult
from clustercore.jobs.domain.unit_context import LeaseLost, UnitContext
from clustercore.jobs.domain.verdict import Done, Fail, Unknown, Verdict
from clustercore.jobs.models import Attempt, Unit
from clustercore.jobs.services import work
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import cancel_job, remove_job
from clustercore.jobs.services.execution import SLICE, Execution
from clustercore.jobs.services.leases import extend_leases
from clustercore.jobs.services.work import do, told
from clustercore.nodes.domain.hooks import Agent
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.jobs.kinds import SUMS
from tests.fakes.nodes.agent import FakeAgent, agent_of
from tests.integration.jobs.conftest import submitted, with_parts

pytestmark = pytest.mark.services


def cancelled(job_id: int) -> None:
    cancel_job(job_id)


def removed(job_id: int) -> None:
    cancel_job(job_id)
    remove_job(job_id)


@pytest.mark.parametrize("verdict", [Done({"n": 1}), Fail("no audio")], ids=["done", "failed"])
@pytest.mark.parametrize("happens", [cancelled, removed])
def test_what_no_longer_counts_is_told_as_dropped(
    happens: Callable[[int], None],
    verdict: Verdict,
    sums: kinds.JobKind,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def handler(context: UnitContext) -> Verdict:
        happens(context.job_id)
        return verdict

    stages = tuple(replace(stage, handler=handler) for stage in sums.stages)
    monkeypatch.setitem(kinds._KINDS, "sums", replace(sums, stages=stages))
    with_parts(1)
    node = start_node(LAPTOP)
    claimed = claim(as_claimant(node))
    assert claimed is not None
    tried = do(cast(Agent, agent_of(node, tmp_path)), claimed)
    assert told(claimed, tried.verdict).endswith(": dropped, it no longer counted")


def tried_with(
    handler: Callable[[UnitContext], Verdict], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[FakeAgent, Unit]:
    """What the laptop's slot leaves of one part with this handler."""
    stages = tuple(replace(stage, handler=handler) for stage in SUMS.stages)
    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, stages=stages))
    _, (part,) = with_parts(1)
    node = start_node(LAPTOP)
    claimed = claim(as_claimant(node))
    assert claimed is not None
    agent = agent_of(node, tmp_path)
    do(cast(Agent, agent), claimed)
    part.refresh_from_db()
    return agent, part


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), CancelledError("stopped")])
def test_a_handler_that_ends_its_thread_fails_and_takes_no_slot_with_it(
    sums: kinds.JobKind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: BaseException
) -> None:
    def handler(_context: UnitContext) -> Verdict:
        raise end

    _, part = tried_with(handler, monkeypatch, tmp_path)
    assert part.state == "queued"
    assert type(end).__name__ in part.error


@pytest.mark.parametrize("away", [OperationalError("gone"), MemoryError(), OSError(errno.EMFILE, "too many")])
def test_a_result_that_is_not_delivered_at_once_is_kept_on_disk_as_it_is(
    sums: kinds.JobKind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, away: Exception
) -> None:
    def fail(*_: object) -> None:
        raise away

    monkeypatch.setattr(work, "turn", fail)
    agent, part = tried_with(lambda _: Done({"n": 1}), monkeypatch, tmp_path)
    assert part.state == "leased"
    ((_, document),) = agent.spools.of(agent.spools.hubs()[0]).items()
    assert SpooledResult.from_json(document).verdict == Done({"n": 1})
    assert len(agent.short_of) == (0 if isinstance(away, OperationalError) else 1)


@pytest.mark.parametrize("result", [{"n": float("nan")}, {"n": object()}], ids=["NaN", "no JSON"])
def test_of_a_result_that_no_document_holds_it_is_kept_that_it_failed_and_why(
    sums: kinds.JobKind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, result: dict[str, Any]
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(work, "turn", fail)
    agent, _ = tried_with(lambda _: Done(result), monkeypatch, tmp_path)
    ((_, document),) = agent.spools.of(agent.spools.hubs()[0]).items()
    verdict = SpooledResult.from_json(document).verdict
    assert isinstance(verdict, Unknown)
    assert "its result cannot be stored" in verdict.why


def test_what_is_watched_elsewhere_within_such_a_watch_leaves_the_outer_one_on(tmp_path: Path) -> None:
    context = handler_at_work(tmp_path)
    with context.watched_elsewhere():
        with context.watched_elsewhere():
            assert context.holding.watched_elsewhere
        assert context.holding.watched_elsewhere
    assert not context.holding.watched_elsewhere


def test_what_a_handler_does_with_a_report_of_its_engine_extends_its_lease_no_longer_than_silence_may_last(
    tmp_path: Path,
) -> None:
    context = handler_at_work(tmp_path)
    may_go_on: list[bool] = []

    def look(*_: object) -> None:
        in_a_while = time.monotonic() + 60.0
        may_go_on.extend(may_be_extended(context.holding, oldest) for oldest in (time.monotonic() - 60.0, in_a_while))

    def engine(*_: object, on_report: Callable[[float, Any], None], **__: object) -> dict[str, Any]:
        look()
        on_report(0.5, {"piece": 1})
        look()
        return {}

    context.agent = cast(Agent, SimpleNamespace(runners=SimpleNamespace(call=engine)))
    context.call_engine("echo", "plain", {}, look)
    assert may_go_on == [True, True, True, False, True, True]


def kind_that_rings(monkeypatch: pytest.MonkeyPatch, ring: Callable[[int, str, Sequence[int]], Any]) -> None:
    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, ring=ring))


def handler_at_work(tmp_path: Path) -> Execution:
    """The context of a plan whose attempt is live, on the laptop."""
    submitted()
    node = start_node(LAPTOP)
    claimed = claim(as_claimant(node))
    assert claimed is not None and claimed.stage == "plan"
    agent = cast(Agent, agent_of(node, tmp_path))
    return Execution(claimed, Holding(claimed.key, claimed.unit_id), agent, tmp_path)


def parts(count: int) -> list[NewUnit]:
    return [NewUnit(stage="part", ordinal=ordinal) for ordinal in range(count)]


@pytest.mark.django_db(transaction=True)
def test_a_handler_that_queues_thousands_gets_all_their_ids_in_order(tmp_path: Path) -> None:
    context = handler_at_work(tmp_path)
    ids = context.queue(parts(2 * SLICE + 1))
    queued = Unit.objects.filter(job=context.job_id, stage="part").order_by("ordinal").values_list("pk", flat=True)
    assert ids == list(queued)
    assert len(ids) == 2 * SLICE + 1
    assert context.queue(parts(2 * SLICE + 2)) == [max(Unit.objects.values_list("pk", flat=True))]


@pytest.mark.django_db(transaction=True)
def test_between_two_slices_the_lease_is_extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extended: list[int] = []

    def beat(*_: object) -> None:
        with ThreadPoolExecutor(1) as keeper:
            extended.append(keeper.submit(extend).result(timeout=10))

    def extend() -> int:
        try:
            return len(extend_leases(context.agent.instance, {context.claimed.key: 0.5}, 20))
        finally:
            connections.close_all()

    context = handler_at_work(tmp_path)
    kind_that_rings(monkeypatch, beat)
    context.queue(parts(3 * SLICE))
    assert extended == [1, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_is_lost_while_it_queues_stops_at_the_next_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = handler_at_work(tmp_path)
    kind_that_rings(monkeypatch, lambda *_: Attempt.objects.update(outcome="expired"))
    with pytest.raises(LeaseLost):
        context.queue(parts(3 * SLICE))
    assert Unit.objects.filter(job=context.job_id, stage="part").count() == SLICE


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_the_node_knows_to_be_lost_queues_no_further_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = handler_at_work(tmp_path)
    kind_that_rings(monkeypatch, lambda *_: context.holding.lost.set())
    with pytest.raises(LeaseLost):
        context.queue(parts(3 * SLICE))
    assert Unit.objects.filter(job=context.job_id, stage="part").count() == SLICE


@pytest.mark.django_db(transaction=True)
def test_each_slice_is_a_sign_that_the_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = handler_at_work(tmp_path)
    silent: list[bool] = []

    def look(*_: object) -> None:
        silent.append(context.holding.last_report == 0.0)
        context.holding.last_report = 0.0

    context.holding.last_report = 0.0
    kind_that_rings(monkeypatch, look)
    context.queue(parts(2 * SLICE))
    assert silent == [False, False]
