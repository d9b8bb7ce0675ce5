"""A node is given the work that it knows, by kind, stage and number of the contract, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clustercore.jobs.domain import kinds
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.available import claimable
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.integration.jobs.conftest import submitted, with_parts


def sums_with_part_of_contract(number: int) -> kinds.JobKind:
    plan, part, total = fake_kinds.SUMS.stages
    return replace(fake_kinds.SUMS, stages=(plan, replace(part, contract=number), total))


def test_work_of_a_kind_that_a_node_does_not_know_is_not_given_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_parts(1)
    monkeypatch.delitem(kinds._KINDS, "sums")
    node = start_node(LAPTOP)
    assert claim(as_claimant(node)) is None
    assert claimable(node.pk, node.capabilities, 5) == []
    assert not Attempt.objects.exists()


def test_work_of_another_contract_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with_parts(2)
    monkeypatch.setitem(kinds._KINDS, "sums", sums_with_part_of_contract(2))
    node = start_node(LAPTOP)
    assert claim(as_claimant(node)) is None


def test_a_unit_keeps_the_contract_of_the_stage_that_it_was_queued_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds._KINDS, "sums", sums_with_part_of_contract(7))
    job, _ = with_parts(1)
    monkeypatch.setitem(kinds._KINDS, "sums", fake_kinds.SUMS)
    known = dict(Unit.objects.filter(job=job).values_list("stage", "contract"))
    assert known == {"plan": 1, "total": 1, "part": 1}


def test_a_job_that_no_node_knows_does_not_stand_in_the_way_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown, _ = with_parts(3, priority=10)
    Job.objects.filter(pk=unknown.pk).update(kind="of tomorrow")
    known = submitted()
    taken = claim(as_claimant(start_node(LAPTOP)), None)
    assert taken is not None and taken.job_id == known.pk


def test_a_job_that_no_node_knows_says_its_kind_and_what_to_install() -> None:
    node = start_node(LAPTOP)
    job = submitted()
    Job.objects.filter(pk=job.pk).update(kind="of tomorrow")
    explain_waiting_jobs()
    job.refresh_from_db()
    assert "no live node knows kind 'of tomorrow'" in job.waiting
    assert "of tomorrow/plan/1" in job.waiting and "install" in job.waiting
    Node.objects.filter(pk=node.pk).update(contracts=["of tomorrow/plan/1"])
    explain_waiting_jobs()
    job.refresh_from_db()
    assert job.waiting == ""
