"""Leases are extended whatever somebody else has locked, and say since when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import cast

import pytest
from django.db import connections, transaction
from django.db.models import F

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT, Holding
from clustercore.jobs.models import Attempt, Unit
from clustercore.jobs.services import held_leases
from clustercore.jobs.services.claim import Claimant, Claimed
from clustercore.jobs.services.held_leases import HeldLeases
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.domain.hooks import Agent
from tests.integration.jobs.conftest import taken, with_parts

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@contextmanager
def locked(*lock: Callable[[], object]) -> Iterator[None]:
    """Somebody else's transaction holds what is locked, for as long as the block runs."""
    is_locked, over = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                for take in lock:
                    take()
                is_locked.set()
                over.wait(60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        assert is_locked.wait(20)
        try:
            yield
        finally:
            over.set()
            holder.result(20)


@pytest.fixture
def held(node: Claimant) -> Iterator[list[Claimed]]:
    """Two attempts in hand whose leases were given a minute ago."""
    with_parts(2)
    found = [taken(node), taken(node)]
    for claimed in found:
        IN_FLIGHT.add(Holding(claimed.key, claimed.unit_id))
    Attempt.objects.update(lease_until=F("lease_until") - timedelta(minutes=1))
    yield found
    for claimed in found:
        IN_FLIGHT.remove(claimed.key)


def agent_of(node: Claimant) -> Agent:
    killed = SimpleNamespace(kill=lambda *_: None)
    return cast(Agent, SimpleNamespace(instance=node.instance, runners=killed))


def seconds_left(claimed: Claimed) -> float:
    left = Attempt.objects.filter(pk=claimed.attempt_id).extra(
        select={"left": "extract(epoch FROM lease_until - now())::float8"}
    )
    return float(left.values_list("left", flat=True).get())


def test_an_attempt_that_somebody_has_locked_keeps_no_other_from_its_extension(
    node: Claimant, held: list[Claimed]
) -> None:
    first, second = held
    leases = HeldLeases()
    with locked(
        lambda: Attempt.objects.select_for_update().get(pk=first.attempt_id),
        lambda: Unit.objects.select_for_update().get(pk=second.unit_id),
    ):
        assert not leases.extend(agent_of(node))
        assert seconds_left(second) > 0 > seconds_left(first)
        assert not any(holding.lost.is_set() for holding in IN_FLIGHT.all())
    assert leases.extend(agent_of(node))
    assert seconds_left(first) > 0


def test_what_ended_meanwhile_is_told_to_its_slot(node: Claimant, held: list[Claimed]) -> None:
    first, second = held
    Attempt.objects.filter(pk=first.attempt_id).update(outcome="cancelled")
    assert HeldLeases().extend(agent_of(node))
    assert {holding.key: holding.lost.is_set() for holding in IN_FLIGHT.all()} == {first.key: True, second.key: False}


def test_they_say_since_when_they_are_extended_without_a_break(
    node: Claimant, held: list[Claimed], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(held_leases, "elapsed_seconds", lambda: now[0])
    leases, agent = HeldLeases(), agent_of(node)

    def extended_at(seconds: float) -> float | None:
        now[0] = seconds
        leases.extend(agent)
        return leases.extended_since(seconds)

    assert leases.extended_since(1000.0) is None
    assert [extended_at(1000.0), extended_at(1005.0), extended_at(1010.0)] == [1000.0] * 3
    assert leases.extended_since(1021.0) is None
    # The machine was suspended: who else holds something must first have had the chance to extend it.
    assert extended_at(4600.0) == 4600.0


def test_a_database_that_refuses_an_extension_begins_the_time_anew(
    node: Claimant, held: list[Claimed], monkeypatch: pytest.MonkeyPatch
) -> None:
    leases, agent = HeldLeases(), agent_of(node)
    leases.extend(agent)
    with monkeypatch.context() as patched:
        patched.setattr(held_leases, "extend_leases", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            leases.extend(agent)
    assert leases.extended_since(elapsed_seconds()) is None
