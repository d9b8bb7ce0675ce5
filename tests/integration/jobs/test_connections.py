"""A slot whose handler works elsewhere keeps no connection to the database from others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection, connections

from clustercore.jobs.adapters.attempts_in_flight import Holding
from clustercore.jobs.models import Unit
from clustercore.jobs.services.claim import Claimant, Claimed
from clustercore.jobs.services.execution import Execution
from clustercore.nodes.domain.hooks import Agent
from tests.fakes.nodes.polling import until
from tests.integration.jobs.conftest import taken, with_parts

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
SLOTS = 4
SLOTS_OF_THE_TEST = "slots of the test"


@contextmanager
def pool_of_short_patience() -> Iterator[None]:
    """The process's pool closes what nobody needs within fractions of a second, instead of seconds, and is known by its
    name."""
    everything: dict[str, Any] = connection.settings_dict["OPTIONS"]
    options: dict[str, Any] = everything["pool"]
    usual = dict(options)
    options["max_idle"] = 0.1
    everything["application_name"] = SLOTS_OF_THE_TEST
    try:
        _pool_anew()
        yield
    finally:
        options.clear()
        options.update(usual)
        del everything["application_name"]
        _pool_anew()


def _pool_anew() -> None:
    connection.close()
    cast(Any, connection).close_pool()


def open_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [SLOTS_OF_THE_TEST])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def asked_again(claimed: Claimed) -> None:
    """A handler that writes down what its engine reports, in the middle of the call."""
    Unit.objects.get(pk=claimed.unit_id)


@pytest.mark.parametrize("reports", [False, True], ids=["silent", "having reported something"])
def test_four_slots_inside_engines_leave_one_connection_open(node: Claimant, tmp_path: Path, reports: bool) -> None:
    with_parts(SLOTS)
    held = [taken(node) for _ in range(SLOTS)]
    asked, inside, answer = Barrier(SLOTS), Barrier(SLOTS + 1), Event()

    def engine(*_: object, on_report: Callable[[float, Any], None], **__: object) -> dict[str, Any]:
        if reports:
            on_report(0.5, {"piece": 1})
        inside.wait(20)
        answer.wait(60)
        return {}

    agent = cast(Agent, SimpleNamespace(runners=SimpleNamespace(call=engine)))

    def in_slot(claimed: Claimed) -> str:
        context = Execution(claimed, Holding(claimed.key, claimed.unit_id), agent, tmp_path)
        try:
            Unit.objects.get(pk=claimed.unit_id)
            # So that each of them has had a connection of its own.
            asked.wait(20)
            context.call_engine("echo", "plain", {}, lambda _event: asked_again(claimed))
            return Unit.objects.get(pk=claimed.unit_id).state
        finally:
            connections.close_all()

    with pool_of_short_patience(), ThreadPoolExecutor(SLOTS) as slots:
        working = [slots.submit(in_slot, claimed) for claimed in held]
        try:
            inside.wait(20)
            assert open_connections() >= SLOTS
            until(lambda: open_connections() == 1)
        finally:
            answer.set()
        assert [slot.result(20) for slot in working] == ["leased"] * SLOTS
