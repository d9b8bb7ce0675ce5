"""What a unit survives, and what its job says, when its holders are lost or refuse it again and again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.verdict import Done, Retry
from clustercore.jobs.models import Attempt, Unit
from clustercore.jobs.services.available import claimable
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.control import retry_job
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.settle import Settled, settle
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.integration.jobs.conftest import with_parts

pytestmark = pytest.mark.services


def taken_by(node: Node) -> Claimed:
    found = claim(as_claimant(node))
    assert found is not None
    return found


def lose(claimed: Claimed) -> None:
    """Nothing is heard from the holder until its lease has run out."""
    Attempt.objects.filter(pk=claimed.attempt_id).update(lease_until=Now() - timedelta(seconds=1))
    assert reap(read_clocks(), 20.0) == 1
    Unit.objects.filter(pk=claimed.unit_id).update(avoid_node=None, avoid_until=None)


def test_a_holder_that_is_lost_five_times_leaves_a_unit_that_ends_done() -> None:
    node = start_node(LAPTOP)
    _, (unit,) = with_parts(1)
    late = []
    for _ in range(5):
        late.append(taken_by(node))
        lose(late[-1])
    settle(taken_by(node).key, Done({"n": 1}))
    unit.refresh_from_db()
    assert (unit.state, unit.strikes, unit.attempts_made) == ("done", 0, 6)
    assert {settle(claimed.key, Done({"n": 2})) for claimed in late} == {Settled.FENCED}
    unit.refresh_from_db()
    assert unit.result == {"n": 1}


def test_what_every_able_node_failed_at_waits_with_the_reason_until_a_retry_forgives_them() -> None:
    nodes = [start_node(WORKSTATION), start_node(LAPTOP)]
    job, (unit,) = with_parts(1, min_rung=0, engine="faster-whisper")
    for _ in nodes:
        claimed = next(found for node in nodes if (found := claim(as_claimant(node))) is not None)
        settle(claimed.key, Retry("the model is broken", not_here=True))
        Unit.objects.update(run_after=None)
    explain_waiting_jobs()
    job.refresh_from_db()
    assert "every able node has tried" in job.waiting and "the model is broken" in job.waiting
    retry_job(job.pk)
    assert [found.unit_id for found in claimable(nodes[0].pk, ["stt"], 5)] == [unit.pk]
