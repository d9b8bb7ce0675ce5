"""How much of the ledger is read by what happens all the time: no more beside a long past, or beside a very wide job.

Blocks are counted, not milliseconds: those that one transaction asked for, as the database itself counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models import QuerySet
from pytest_django.plugin import DjangoDbBlocker

from benchmarks.past_jobs import fill_past, tell_planner
from clustercore.access.domain.roles import Role
from clustercore.access.selectors import identity_of_user
from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.verdict import Done, Retry
from clustercore.jobs.models import Job, JobCount, Unit
from clustercore.jobs.selectors.change_fingerprint import activity_now, last_event_id
from clustercore.jobs.selectors.job_lists import ENDED_STATES, failures, open_jobs, recent_jobs
from clustercore.jobs.selectors.node_load import minutes_of_the_last_hour
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.queueing import jobs_by_state, queue_now
from clustercore.jobs.selectors.totals import dead_units, queued_by_capability, real_time_factors, units_by_engine
from clustercore.jobs.selectors.visibility import visible_jobs
from clustercore.jobs.services.answering import expire_questions
from clustercore.jobs.services.available import claimable
from clustercore.jobs.services.claim import Claimant, claim
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.jobs.services.floors import keep_floors
from clustercore.jobs.services.leases import extend_leases, reap
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.retention import shorten_stories
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import refuse_over_backlog, submit
from clustercore.jobs.services.sweep import finish_forgotten_jobs, look
from clustercore.jobs.services.timers import run_due
from clustercore.nodes.selectors import node_statuses
from clustercore.telemetry.services.metrics import exposition
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.jobs.kinds import SUMS
from tests.integration.jobs.conftest import taken

SHORT_PAST, LONG_PAST = 1_000, 15_000
WIDE_UNITS = 10_000
SMALL_JOBS = 6
FEW = 30
SERVED = {"engine": "faster-whisper", "seconds": 2.5, "audio_seconds": 10.0}
_BLOCKS = """
SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i', 't')
"""

Run = Callable[[], object]


def blocks() -> int:
    """How many blocks of tables and indexes this transaction has asked for so far."""
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKS)
        return int(cursor.fetchone()[0])


def read_by(prepare: Callable[[Claimant], Run], node: Claimant) -> int:
    """The blocks that it reads, the less of two times: the first also looks up what the planner wants to know."""
    return min(_read_once(prepare, node) for _ in range(2))


def _read_once(prepare: Callable[[Claimant], Run], node: Claimant) -> int:
    with transaction.atomic():
        run = prepare(node)
        before = blocks()
        run()
        found = blocks() - before
        transaction.set_rollback(True)
    return found


def settling(node: Claimant) -> Run:
    found = taken(node)
    return lambda: settle(found.key, Done({}), served_by=SERVED)


def trying_again(node: Claimant) -> Run:
    found = taken(node)
    return lambda: settle(found.key, Retry("not yet"))


def ending(node: Claimant) -> Run:
    """The last part of a job, after which its sum is opened."""
    found = taken(node)
    Unit.objects.filter(job=found.job_id, stage="part").exclude(pk=found.unit_id).update(state="done")
    return lambda: settle(found.key, Done({}), served_by=SERVED)


def of_the_oldest(prepare: Callable[[Claimant], Run]) -> Callable[[Claimant], Run]:
    """Where the small jobs are none that could be claimed, so that the widest is."""

    def prepared(node: Claimant) -> Run:
        Job.objects.filter(priority=1).update(state="paused")
        return prepare(node)

    return prepared


def extending(node: Claimant) -> Run:
    held = {taken(node).key: 0.5 for _ in range(3)}
    return lambda: extend_leases(node.instance, held, 20.0)


def always(run: Run) -> Callable[[Claimant], Run]:
    return lambda node: run


def operators_jobs() -> QuerySet[Job]:
    return visible_jobs(identity_of_user(User.objects.get(username="olga")))


@dataclass(frozen=True)
class Question:
    """What is asked of the ledger, and whether it may read all that is open."""

    prepare: Callable[[Claimant], Run]
    reads_what_is_open: bool = False


QUESTIONS: Mapping[str, Question] = {
    "claim": Question(lambda node: lambda: claim(node)),
    "claim of the widest": Question(of_the_oldest(lambda node: lambda: claim(node))),
    "look": Question(lambda node: lambda: claimable(node.node_id, node.capabilities, 4)),
    "settle": Question(settling),
    "settle of the widest": Question(of_the_oldest(settling)),
    "end of a job": Question(ending),
    "retry": Question(trying_again),
    "beat": Question(extending),
    "what a node asks each second": Question(always(lambda: look(1e9))),
    "sweep: reap": Question(always(lambda: reap(read_clocks(), 20.0))),
    "sweep: due": Question(always(lambda: run_due(read_clocks(), 20.0))),
    "sweep: questions": Question(always(lambda: expire_questions(read_clocks(), 20.0))),
    "sweep: floors": Question(always(lambda: keep_floors(600.0, may_fall=True)), reads_what_is_open=True),
    "sweep: why jobs wait": Question(always(explain_waiting_jobs), reads_what_is_open=True),
    "sweep: forgotten jobs": Question(always(finish_forgotten_jobs), reads_what_is_open=True),
    "submit": Question(
        always(lambda: submit(None, JobRequest(kind="sums", title="one more"), backlog_limit=10**6)),
        reads_what_is_open=True,
    ),
    "backlog": Question(always(lambda: refuse_over_backlog(10**6))),
    "queue": Question(always(queue_now), reads_what_is_open=True),
    "queue by capability": Question(always(queued_by_capability), reads_what_is_open=True),
    "dead units": Question(always(dead_units)),
    "work done": Question(always(units_by_engine)),
    "speed of the last hour": Question(always(real_time_factors)),
    "all metrics": Question(always(lambda: exposition("")), reads_what_is_open=True),
    "open jobs": Question(always(lambda: open_jobs(Job.objects.all())), reads_what_is_open=True),
    "jobs by state": Question(always(lambda: jobs_by_state(JobCount.objects.all()))),
    "recent jobs": Question(always(lambda: recent_jobs(Job.objects.all()))),
    "recent jobs of a person": Question(always(lambda: recent_jobs(operators_jobs()))),
    "failures": Question(always(lambda: failures(Job.objects.all()))),
    "first page of the list": Question(
        always(lambda: job_progress(Job.objects.filter(state__in=ENDED_STATES).order_by("-id")[:26])),
        reads_what_is_open=True,
    ),
    "list of cancelled jobs": Question(
        always(lambda: job_progress(Job.objects.filter(state="cancelled").order_by("-id")[:26]))
    ),
    "nodes": Question(always(node_statuses)),
    "minutes": Question(always(minutes_of_the_last_hour)),
    "upkeep of old stories": Question(always(lambda: shorten_stories(timedelta(days=36_500)))),
    "activity": Question(always(lambda: (activity_now(), last_event_id()))),
}


@dataclass(frozen=True)
class Reads:
    """The blocks that each question read, by its name: in a small ledger, with a past, and with a wide job as well."""

    small: Mapping[str, int]
    with_past: Mapping[str, int]
    with_wide_job: Mapping[str, int]


@pytest.fixture(scope="module")
def reads(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Reads]:
    """Three ledgers, each the one before and more; emptied in the end, so that no other test finds a large one."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(kinds._KINDS, "sums", SUMS)
        try:
            yield _measure()
        finally:
            with connection.cursor() as cursor:
                cursor.execute(
                    "TRUNCATE jobs_job, jobs_jobcount, jobs_counter, jobs_workdone, nodes_node, auth_user CASCADE"
                )


def _measure() -> Reads:
    olga = User.objects.create_user("olga")
    olga.groups.add(Group.objects.get_or_create(name=Role.OPERATOR.value)[0])
    node = as_claimant(start_node(LAPTOP))
    fill_past(SUMS, SHORT_PAST, 1)
    wide = _running("wide", priority=0)
    for _ in range(SMALL_JOBS):
        _running("small", priority=1)
    tell_planner()
    small = _read(node)
    fill_past(SUMS, LONG_PAST, 1)
    with_past = _read(node)
    _queue(wide, FEW, WIDE_UNITS)
    tell_planner()
    return Reads(small, with_past, _read(node))


def _running(title: str, priority: int) -> Job:
    request = JobRequest(kind="sums", title=title, priority=priority, needs=("lang:en",))
    job, _ = submit(None, request, backlog_limit=10**6)
    Unit.objects.filter(job=job, stage="plan").update(state="done")
    _queue(job, 0, FEW)
    return job


def _queue(job: Job, start: int, stop: int) -> None:
    with transaction.atomic():
        queue_units(SUMS, job.pk, [NewUnit(stage="part", ordinal=ordinal) for ordinal in range(start, stop)])


def _read(node: Claimant) -> dict[str, int]:
    return {name: read_by(question.prepare, node) for name, question in QUESTIONS.items()}


def _allowed(before: int) -> int:
    return 2 * before + 50


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_long_past_is_not_read(reads: Reads, name: str) -> None:
    assert reads.with_past[name] <= _allowed(reads.small[name])


@pytest.mark.parametrize("name", [name for name, question in QUESTIONS.items() if not question.reads_what_is_open])
def test_the_pieces_of_a_wide_job_are_not_read(reads: Reads, name: str) -> None:
    assert reads.with_wide_job[name] <= _allowed(reads.with_past[name])
