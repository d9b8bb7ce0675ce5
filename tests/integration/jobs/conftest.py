"""The ledger's tests run on the real PostgreSQL, with a kind of job of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from django.db import connection, connections, transaction

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.claim import Claimant, Claimed, claim
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.submit import submit
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.fakes.jobs.letters import LETTERS, SENDING
from tests.fakes.jobs.panel import PANEL


@pytest.fixture(autouse=True)
def sums(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[kinds.JobKind]:
    monkeypatch.setitem(kinds._KINDS, "sums", fake_kinds.SUMS)
    fake_kinds.RUNG.clear()
    fake_kinds.RECORDED.clear()
    fake_kinds.QUEUED.clear()
    fake_kinds.HELD.clear()
    yield fake_kinds.SUMS


@pytest.fixture
def letters(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind whose first stage must not be done twice."""
    monkeypatch.setitem(kinds._KINDS, "letters", LETTERS)
    SENDING.clear()


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the panel a kind that is known."""
    monkeypatch.setitem(kinds._KINDS, "panel", PANEL)


@pytest.fixture
def node() -> Claimant:
    """The laptop, as one that claims."""
    return as_claimant(start_node(LAPTOP))


def taken(node: Claimant) -> Claimed:
    """What the node gets now, which must be something."""
    found = claim(node)
    assert found is not None
    return found


def submitted(**wishes: object) -> Job:
    """A job of the tests' kind, with its first unit queued."""
    wishes.setdefault("needs", ("lang:en",))
    request = JobRequest(kind="sums", title="add them up", **wishes)  # type: ignore[arg-type]
    job, _ = submit(None, request, backlog_limit=1000)
    return job


def with_parts(count: int, **wishes: object) -> tuple[Job, list[Unit]]:
    """A job whose plan is done and whose parts are queued."""
    job = submitted(**wishes)
    Unit.objects.filter(job=job, stage="plan").update(state="done")
    queue_units(fake_kinds.SUMS, job.pk, [NewUnit(stage="part", ordinal=n) for n in range(count)])
    return job, list(Unit.objects.filter(job=job, stage="part").order_by("ordinal"))


def first_of(queries: Iterable[dict[str, str]], words: str) -> int:
    """Returns the place of the first statement with these words."""
    return next(at for at, query in enumerate(queries) if words in query["sql"])


def failing_for(broken: Job) -> Callable[..., bool]:
    """Returns a step that fails for this job, by itself or its number, and does nothing for others."""

    def take(job: Job | int, *_: object, **__: object) -> bool:
        if broken.pk == (job.pk if isinstance(job, Job) else job):
            raise ValueError("what is written of this job cannot be read")
        return True

    return take


@contextmanager
def held_open(work: Callable[[], object]) -> Iterator[None]:
    """Another connection does it in a transaction that lasts as long as the block; what waits for it there fails."""
    is_done, may_commit = Event(), Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                work()
                is_done.set()
                may_commit.wait(30)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(slow)
        try:
            assert is_done.wait(30)
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout TO '100ms'")
                yield
        finally:
            may_commit.set()
        other.result(30)
