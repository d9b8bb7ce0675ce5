"""Letters that are sent once: what tests of such units begin with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from django.db.models.functions import Now

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.verdict import Verdict
from clustercore.jobs.models import Attempt, Job, Question, Unit
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.submit import submit
from clustercore.jobs.services.work import do
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.nodes.agent import agent_of


def letter(**wishes: Any) -> Unit:
    """The unit that sends it."""
    job, _ = submit(None, JobRequest(kind="letters", title="a letter", **wishes), backlog_limit=1000)
    return Unit.objects.get(job=job, stage="send")


def taken(node: Node | None = None) -> Claimed:
    """What a node of the cast holds now."""
    found = claim(as_claimant(node or start_node(LAPTOP)), None)
    assert found is not None
    return found


def lose_the_lease() -> None:
    """Nothing was heard from whoever holds anything."""
    Attempt.objects.filter(outcome="live").update(lease_until=Now() - timedelta(seconds=1))
    assert reap(read_clocks(), 20.0) == 1
    Unit.objects.update(avoid_node=None, avoid_until=None)


def done_by(node: Node, claimed: Claimed, directory: Path) -> Verdict | None:
    """What a slot of the node makes of it."""
    return do(cast(Agent, agent_of(node, directory)), claimed).verdict


def states(unit: Unit) -> tuple[str, str]:
    """The unit's and its job's."""
    unit.refresh_from_db()
    return unit.state, Job.objects.get(pk=unit.job_id).state


def asked(unit: Unit) -> Question:
    """The one question that is open."""
    return Question.objects.get(unit=unit, answer="", withdrawn=None)


def is_asked(unit: Unit) -> bool:
    """Whether anybody is asked about it."""
    return Question.objects.filter(unit=unit, answer="", withdrawn=None).exists()
