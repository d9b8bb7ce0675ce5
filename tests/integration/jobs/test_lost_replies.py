"""A claim is committed, and its reply is lost with the connection: nobody holds what the ledger has given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT, Holding
from clustercore.jobs.services import claim as claims
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.lost_replies import LOOKS_AFTER_LOSS, LOOKS_UNTIL_LOST, LostReplies
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.nodes.agent import agent_of
from tests.integration.jobs.letters import is_asked, letter, states, taken

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("letters")]


@pytest.fixture
def laptop() -> Node:
    return start_node(LAPTOP)


@pytest.fixture
def agent(laptop: Node, tmp_path: Path) -> Agent:
    return cast(Agent, agent_of(laptop, tmp_path))


@pytest.fixture
def replies() -> LostReplies:
    """Of a process that has lost none since."""
    return LostReplies()


@pytest.fixture
def held() -> Iterator[Callable[[Claimed], None]]:
    """Lets a slot hold an attempt until the test is over."""
    keys = []

    def hold(claimed: Claimed) -> None:
        keys.append(claimed.key)
        IN_FLIGHT.add(Holding(claimed.key, claimed.unit_id))

    yield hold
    for key in keys:
        IN_FLIGHT.remove(key)


def look(replies: LostReplies, agent: Agent, times: int) -> None:
    for _ in range(times):
        replies.look(agent)


def test_what_must_not_be_done_twice_and_never_got_here_is_handed_back_and_nobody_is_asked(
    laptop: Node, agent: Agent, replies: LostReplies
) -> None:
    unit = letter()
    taken(laptop)
    IN_FLIGHT.lose_reply()
    look(replies, agent, LOOKS_UNTIL_LOST - 1)
    assert states(unit)[0] == "leased"
    look(replies, agent, 1)
    assert states(unit) == ("queued", "running") and not is_asked(unit)


def test_what_a_slot_holds_or_took_a_moment_to_hold_is_left_to_it(
    laptop: Node, agent: Agent, replies: LostReplies, held: Callable[[Claimed], None]
) -> None:
    unit = letter()
    claimed = taken(laptop)
    IN_FLIGHT.lose_reply()
    look(replies, agent, LOOKS_UNTIL_LOST - 1)
    held(claimed)
    look(replies, agent, LOOKS_AFTER_LOSS)
    assert states(unit)[0] == "leased"


def test_a_result_that_waits_on_disk_is_no_lost_reply(laptop: Node, agent: Agent, replies: LostReplies) -> None:
    unit = letter()
    claimed = taken(laptop)
    IN_FLIGHT.lose_reply()
    IN_FLIGHT.keep([claimed.key])
    try:
        look(replies, agent, LOOKS_AFTER_LOSS)
    finally:
        IN_FLIGHT.forget([claimed.key])
    assert states(unit)[0] == "leased"


def test_where_no_reply_was_lost_of_late_nothing_is_asked(agent: Agent, replies: LostReplies) -> None:
    IN_FLIGHT.lose_reply()
    look(replies, agent, LOOKS_AFTER_LOSS)
    with CaptureQueriesContext(connection) as queries:
        look(replies, agent, 3)
    assert len(queries) == 0


def gone(**_: object) -> object:
    raise OperationalError("server closed the connection unexpectedly")


def test_a_claim_whose_connection_breaks_is_noted(laptop: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    before = IN_FLIGHT.replies_lost
    monkeypatch.setattr(claims, "CLAIM", SimpleNamespace(fetch=gone))
    with pytest.raises(OperationalError):
        claim(as_claimant(laptop))
    assert IN_FLIGHT.replies_lost == before + 1
