"""What a slot says of its try, where the ledger had its reasons not to count it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.kinds import UnitContext
from clustercore.jobs.domain.verdict import Done, Fail, Verdict
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import cancel_job, remove_job
from clustercore.jobs.services.work import do, told
from clustercore.nodes.domain.hooks import Agent
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.nodes.agent import agent_of
from tests.integration.jobs.conftest import with_parts

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
    claimed = claim(as_claimant(node), None)
    assert claimed is not None
    assert told(claimed, do(cast(Agent, agent_of(node, tmp_path)), claimed)).endswith(": dropped, it no longer counted")
