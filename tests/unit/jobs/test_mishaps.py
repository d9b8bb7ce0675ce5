"""What a slot makes of what a handler raised."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from clustercore.jobs.adapters.attempts_in_flight import Holding
from clustercore.jobs.domain.verdict import Crashed, Done, Fail, HandBack, Retry, Verdict
from clustercore.jobs.services.mishaps import verdict_after, why_of
from clustercore.nodes.domain.engine import EngineFailure
from clustercore.nodes.domain.hooks import Agent, RunnerDied
from clustercore.nodes.domain.wire import OUT_OF_MEMORY
from tests.fakes.jobs.kinds import SUMS


def after(error: Exception, *, lost: bool = False) -> Verdict | None:
    holding = Holding(UUID(int=1), 11)
    if lost:
        holding.lost.set()
    return verdict_after(error, cast(Agent, None), SUMS.stage("part"), holding)


def test_a_piece_that_has_no_room_in_memory_here_is_tried_elsewhere_and_ends_no_job() -> None:
    assert after(EngineFailure("unreadable", "not audio")) == Fail("not audio", "unreadable")
    assert after(EngineFailure(OUT_OF_MEMORY, "too large")) == Retry("too large", not_here=True)


def test_a_host_that_was_killed_on_purpose_hands_back_and_one_that_died_has_crashed() -> None:
    assert after(RunnerDied("told to", deliberate=True)) == HandBack("told to")
    assert after(RunnerDied("killed by SIGSEGV", deliberate=False)) == Crashed("killed by SIGSEGV")


def test_the_death_of_a_host_says_nothing_of_an_attempt_that_no_longer_counts() -> None:
    assert after(RunnerDied("told to", deliberate=True), lost=True) is None


def test_every_verdict_but_a_result_has_a_reason() -> None:
    assert (why_of(Done()), why_of(Retry("the model is busy"))) == ("", "the model is busy")
