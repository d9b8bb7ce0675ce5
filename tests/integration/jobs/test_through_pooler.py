"""The ledger's own tests once more, in transactions of their own, through a PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.domain.role_settings import ROLE_SETTINGS
from clustercore.embedded.domain.server_urls import parse_database_url
from clustercore.jobs.services.advance import AFTER_END
from tests import pooler
from tests.integration.jobs.test_claim import (  # noqa: F401 - they run here too
    test_a_node_more_than_one_rung_below_the_best_live_one_takes_no_part_and_knows_why,
    test_a_node_that_was_too_late_for_a_job_takes_the_next_one,
    test_a_unit_is_taken_once,
    test_many_nodes_claiming_at_once_take_each_unit_exactly_once,
    test_the_older_of_two_jobs_of_equal_priority_goes_first,
    test_with_many_jobs_and_one_slot_each_result_is_there_before_the_job_after_next_begins,
)
from tests.integration.jobs.test_settle import (  # noqa: F401
    test_a_lease_is_extended_only_for_the_process_that_holds_it,
    test_a_result_delivered_twice_is_stored_once,
    test_a_result_whose_attempt_is_no_longer_live_changes_nothing_and_is_counted,
    test_a_retry_waits_longer_each_time_and_gives_up_in_the_end,
    test_a_vanished_node_is_never_a_strike_however_often_it_happens,
    test_cancelling_ends_every_attempt_and_a_late_result_is_fenced,
    test_the_last_part_opens_the_next_stage_and_that_one_ends_the_job,
    test_three_proved_crashes_make_a_unit_dead_and_the_job_says_so,
    test_what_is_handed_back_is_queued_at_once_for_another_node,
)
from tests.integration.jobs.test_submit import test_a_known_idempotency_key_gives_the_job_that_has_it  # noqa: F401
from tests.integration.jobs.test_turn import (  # noqa: F401
    aside,
    bare,
    recorded,
    test_a_result_that_no_longer_counts_is_fenced_and_takes_nothing,
    test_a_turn_leaves_what_the_long_way_leaves_and_brings_the_next_unit,
    test_parts_of_one_job_are_completed_beside_each_other,
    test_two_that_end_the_last_two_parts_at_once_do_not_take_each_other_for_open,
)

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(pooler.PROGRAM is None, reason=pooler.ABSENT),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(scope="module")
def pooled(services: Endpoints) -> Iterator[Endpoints]:
    """The session's servers, PostgreSQL behind a pooler."""
    with pooler.running_pooler(services) as url:
        yield replace(services, database_url=url)


@pytest.fixture(autouse=True)
def through_pooler(transactional_db: None, pooled: Endpoints) -> Iterator[None]:
    """Django's connections of this process lead through the pooler, and none is mixed up with another."""
    before = dict(connection.settings_dict)
    address = parse_database_url(pooled.database_url)
    errors = pooler.collisions(pooled)
    _lead_to(address.hosts, address.ports)
    yield
    _lead_to(before["HOST"], before["PORT"])
    assert pooler.collisions(pooled) == errors


def _lead_to(host: str, port: str) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict.update(HOST=host, PORT=port)


def test_every_transaction_may_be_on_another_connection_to_the_server_and_none_is_prepared() -> None:
    seen, prepared = set(), set()
    for _ in range(40):
        assert AFTER_END.fetch(job=0, unit=0, stage="") == [(False, False, False)]
        seen.add(told("SELECT pg_backend_pid()"))
        prepared.add(told("SELECT count(*) FROM pg_prepared_statements"))
    assert len(seen) > 1
    assert prepared == {(0,)}


def test_the_settings_hold_in_every_transaction() -> None:
    names = ", ".join(f"current_setting('{name}')" for name in ROLE_SETTINGS)
    assert {told(f"SELECT {names}") for _ in range(40)} == {tuple(ROLE_SETTINGS.values())}


def told(query: str) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
