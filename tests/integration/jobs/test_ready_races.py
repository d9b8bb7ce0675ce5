"""What changes the list of ready work from several sides at once: nothing that is queued is ever off it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from django.db import connection, connections
from django.db.models.functions import Now

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt, Demand, Job, Ready, Unit
from clustercore.jobs.services.claim import Claimant, Claimed, claim
from clustercore.jobs.services.control import cancel_job, edit_job, pause_job, resume_job
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.ready import UNUSED_MINUTES, repair_ready, tidy_ready
from clustercore.jobs.services.settle import settle
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.fakes.nodes.polling import until
from tests.integration.jobs.conftest import taken, with_parts
from tests.integration.jobs.test_races import at_once
from tests.integration.jobs.test_ready import listed

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 10


@pytest.fixture
def other() -> Iterator[psycopg.Connection]:
    """A connection of its own, in whose transaction a test stops halfway."""
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
    with psycopg.connect(**wanted) as link:
        yield link
        link.rollback()


def soon() -> None:
    """What waits for a lock fails, instead of stopping the test."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")


QUEUE = "UPDATE jobs_unit SET state = 'queued' WHERE id = %s"


def test_a_claim_neither_waits_for_whoever_queues_nor_takes_their_unit_off_the_list(
    node: Claimant, other: psycopg.Connection
) -> None:
    _, (first, second) = with_parts(2)
    Unit.objects.filter(pk=second.pk).update(state="held")
    soon()
    other.execute(QUEUE, [second.pk])
    assert taken(node).unit_id == first.pk
    assert claim(node) is None
    tidy_ready()
    other.commit()
    assert taken(node).unit_id == second.pk


def test_a_claim_that_began_before_more_was_queued_does_not_take_it_off_the_list(
    node: Claimant, other: psycopg.Connection
) -> None:
    job, (first, second) = with_parts(2)
    tidy_ready()
    Unit.objects.filter(pk=second.pk).update(state="held")
    # The claim looks at the list, then waits at its attempt, and only then takes the job off the list.
    other.execute(_ATTEMPT, [first.pk])
    with ThreadPoolExecutor(1) as pool:
        claiming = pool.submit(in_thread, partial(claim, node, None))
        until(somebody_waits_for_a_lock, 20)
        Unit.objects.filter(pk=second.pk).update(state="queued")
        other.rollback()
        found = claiming.result(20)
    assert found is not None and found.unit_id == first.pk
    assert listed(job) == [("part", ["lang:en"], None)]
    assert taken(node).unit_id == second.pk


_ATTEMPT = """
INSERT INTO jobs_attempt (unit_id, number, node_name, instance, outcome, lease_until, started, reason, served_by,
                          fenced_results)
VALUES (%s, 1, '', gen_random_uuid(), 'live', now(), now(), '', '{}', 0)
"""


def in_thread(step: Callable[[], Claimed | None]) -> Claimed | None:
    try:
        return step()
    finally:
        connections.close_all()


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return cursor.fetchone() is not None


def test_whoever_queues_after_the_last_unit_was_taken_lists_the_job_anew(
    node: Claimant, other: psycopg.Connection
) -> None:
    job, (first, second) = with_parts(2)
    Unit.objects.filter(pk=second.pk).update(state="held")
    # Its snapshot is of before the claim.
    other.execute("SELECT count(*) FROM jobs_ready")
    assert taken(node).unit_id == first.pk
    assert not Ready.objects.filter(job=job, demand__stage="part").exists()
    other.execute(QUEUE, [second.pk])
    other.commit()
    assert taken(node).unit_id == second.pk


def test_a_demand_that_somebody_is_about_to_name_is_not_removed(node: Claimant, other: psycopg.Connection) -> None:
    job, (part,) = with_parts(1)
    tidy_ready()
    taken(node)
    Demand.objects.update(unused_since=Now() - timedelta(minutes=UNUSED_MINUTES + 1))
    soon()
    other.execute(QUEUE, [part.pk])
    tidy_ready()
    other.commit()
    assert listed(job) == [("part", ["lang:en"], None)]
    assert claim(node) is not None


def test_nothing_is_forgotten_where_units_are_queued_and_taken_at_the_same_moment() -> None:
    nodes = [as_claimant(start_node(name)) for name in (WORKSTATION, LAPTOP)]
    job, parts = with_parts(4, min_rung=0)

    def queue_again(unit_id: int) -> None:
        for _ in range(50):
            Unit.objects.filter(pk=unit_id, state="done").update(state="queued")

    def take(claimant: Claimant) -> None:
        for _ in range(100):
            if (found := claim(claimant)) is not None:
                Unit.objects.filter(pk=found.unit_id).update(state="done")

    at_once(*(partial(queue_again, part.pk) for part in parts[:2]), *(partial(take, node) for node in nodes))
    assert repair_ready() == 0
    waiting = Unit.objects.filter(job=job, state="queued").count()
    for _ in range(waiting):
        assert claim(nodes[0]) is not None


def expire(job: Job) -> None:
    Attempt.objects.filter(unit__job=job).update(lease_until=Now() - timedelta(seconds=1))


def need(trait: str, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(needs=[trait])


def lower_the_wish(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(min_rung=1)


def pause_and_go_on(job: Job) -> None:
    pause_job(job.pk)
    resume_job(job.pk)


@pytest.mark.parametrize(
    "change",
    [lambda job: edit_job(job.pk, priority=5), partial(need, "lang:de"), lower_the_wish, pause_and_go_on],
    ids=["priority", "needs", "floor", "pause"],
)
def test_what_a_lost_node_had_in_hand_is_listed_as_its_job_asks_now(change: Callable[[Job], None]) -> None:
    node = as_claimant(start_node(LAPTOP))
    for _ in range(ROUNDS):
        job, _ = with_parts(2, min_rung=2)
        held = [taken(node), taken(node)]
        expire(job)
        at_once(lambda: reap(read_clocks(), 20.0), partial(change, job))
        tidy_ready()
        repair_ready()
        job.refresh_from_db()
        wanted = [("part", job.needs, job.min_rung)]
        assert listed(job) == wanted, held
        assert set(Ready.objects.filter(job=job).values_list("priority", flat=True)) == {job.priority}
        cancel_job(job.pk)


def test_results_and_claims_at_once_leave_no_job_listed_that_has_nothing(node: Claimant) -> None:
    for _ in range(ROUNDS):
        job, _ = with_parts(2)
        at_once(partial(claim, node, None), partial(claim, node, None))
        tidy_ready()
        assert not Ready.objects.filter(job=job).exists()
        for key in Attempt.objects.filter(unit__job=job, outcome="live").values_list("key", flat=True):
            settle(key, Done({}))
        cancel_job(job.pk)
