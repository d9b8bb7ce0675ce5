"""An idempotency key means one request, also of many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from pytest_django import DjangoAssertNumQueries

from clustercore.access.models import AuditEntry
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import InvalidRequest, JobRequest
from clustercore.jobs.models import Job
from clustercore.jobs.services import references
from clustercore.jobs.services.sent_files import Sent
from clustercore.jobs.services.submit import BacklogFull, KeyReused, submit
from tests.fakes.jobs.kinds import SUMS
from tests.people import identity, person

pytestmark = pytest.mark.django_db


def test_a_known_idempotency_key_gives_the_job_that_has_it() -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    first, new = submit(None, request, backlog_limit=10)
    again, new_again = submit(None, request, backlog_limit=10)
    assert (new, new_again, first.pk) == (True, False, again.pk)
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"min_rung": 0},
        {"parameters": {"n": 2}},
        {"payload": {"n": 2}},
        {"language": "de"},
        {"priority": 3},
        {"title": "twice"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_key_that_comes_with_another_request_is_refused_with_the_job_that_has_it(other: dict[str, Any]) -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    job, _ = submit(None, request, backlog_limit=10)
    with pytest.raises(KeyReused, match=f"job {job.pk} has this key"):
        submit(None, replace(request, **other), backlog_limit=10)
    assert Job.objects.count() == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterRequest(JobRequest):
    """A request of a version that can be asked for more."""

    speakers: int | None = None
    glossary: Mapping[str, str] = field(default_factory=dict)


def test_a_key_serves_the_same_request_of_a_version_that_can_be_asked_for_more() -> None:
    asked: dict[str, Any] = {
        "kind": "sums",
        "title": "once",
        "idempotency_key": "abc",
        "parameters": {"n": 2},
        "min_rung": 0,
    }
    job, _ = submit(None, JobRequest(**asked), backlog_limit=10)
    assert submit(None, LaterRequest(**asked), backlog_limit=10) == (job, False)
    with pytest.raises(KeyReused):
        submit(None, LaterRequest(**asked, speakers=2), backlog_limit=10)


def test_one_key_is_one_request_for_each_owner() -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    submit(None, request, backlog_limit=10)
    other = replace(request, owner_id=person("otto").pk, title="another")
    assert submit(None, other, backlog_limit=10)[1]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_the_key_of_a_job_that_came_to_nothing_goes_to_the_next_one(state: str) -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    first, _ = submit(None, request, backlog_limit=10)
    Job.objects.filter(pk=first.pk).update(state=state)
    second, is_new = submit(None, replace(request, title="another"), backlog_limit=10)
    first.refresh_from_db()
    assert (is_new, first.idempotency_key, second.idempotency_key) == (True, None, "abc")
    assert submit(None, replace(request, title="another"), backlog_limit=10) == (second, False)


@pytest.mark.parametrize("state", ["running", "paused", "done"])
def test_a_job_that_serves_keeps_its_key(state: str) -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    first, _ = submit(None, request, backlog_limit=10)
    Job.objects.filter(pk=first.pk).update(state=state)
    assert submit(None, request, backlog_limit=10) == (first, False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", ["nothing", "failed"])
def test_of_eight_requests_at_once_with_one_key_one_makes_the_job(before: str) -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    if before == "failed":
        Job.objects.filter(pk=submit(None, request, backlog_limit=100)[0].pk).update(state="failed")
    start = Barrier(8)

    def ask(number: int) -> str:
        try:
            start.wait(10)
            _, is_new = submit(None, replace(request, title=("odd", "even")[number % 2]), backlog_limit=100)
            return "new" if is_new else "known"
        except KeyReused:
            return "refused"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(ask, range(8))) == {"new": 1, "known": 3, "refused": 4}


def sent(calls: list[str], blob: str = "ab" * 32) -> Sent:
    """A file that notes what is asked of it."""

    def note(what: str) -> str:
        calls.append(what)
        return blob

    return Sent(name="a.txt", size=1, sha256=lambda: note("hashed"), store=lambda: note("stored"))


@pytest.fixture
def stores_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for is stored."""
    monkeypatch.setattr(references, "lock_stored", set)


def test_a_file_is_stored_after_all_checks_and_is_what_the_first_unit_needs(stores_all: None) -> None:
    calls: list[str] = []
    job, _ = submit(None, JobRequest(kind="sums", title="once", idempotency_key="abc"), sent(calls))
    assert calls == ["stored"]
    assert job.parameters["blob"] == job.blobs.get().sha256 == "ab" * 32


def test_a_file_that_has_its_job_already_is_hashed_and_not_stored(stores_all: None) -> None:
    request, calls = JobRequest(kind="sums", title="once", idempotency_key="abc"), list[str]()
    job, _ = submit(None, request, sent([]))
    assert submit(None, request, sent(calls)) == (job, False)
    with pytest.raises(KeyReused):
        submit(None, request, sent(calls, "cd" * 32))
    assert calls == ["hashed", "hashed"]


def test_nothing_is_stored_while_too_much_is_waiting() -> None:
    calls: list[str] = []
    submit(None, JobRequest(kind="sums", title="first"))
    with pytest.raises(BacklogFull):
        submit(None, JobRequest(kind="sums", title="second"), sent(calls), backlog_limit=1)
    assert calls == []


def test_a_file_that_was_deleted_before_its_job_was_written_is_asked_for_again() -> None:
    with pytest.raises(InvalidRequest, match="file: what came was deleted"):
        submit(None, JobRequest(kind="sums", title="once"), sent([]))
    assert not Job.objects.exists()


def test_who_asks_owns_the_job_and_is_in_the_audit_log_once() -> None:
    olga, request = identity("olga"), JobRequest(kind="sums", title="once", idempotency_key="abc")
    job, _ = submit(olga, request)
    submit(olga, request)
    assert job.owner_id == olga.user_id
    entries = AuditEntry.objects.filter(action="job.submit").values_list("actor", "target")
    assert list(entries) == [("olga", f"job {job.pk}")]


def test_a_job_that_cannot_be_written_leaves_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a field that the record needs")

    monkeypatch.setitem(kinds._KINDS, "sums", replace(SUMS, submitted=broken))
    with pytest.raises(KeyError):
        submit(identity("olga"), JobRequest(kind="sums", title="once"))
    assert not Job.objects.exists() and not AuditEntry.objects.filter(action="job.submit").exists()


def test_a_kind_keeps_what_it_wants_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[int, Any]] = []
    notes = replace(SUMS, submitted=lambda job_id, request: kept.append((job_id, request.parameters)))
    monkeypatch.setitem(kinds._KINDS, "sums", notes)
    job, _ = submit(None, JobRequest(kind="sums", title="once", parameters={"n": 2}))
    assert kept == [(job.pk, {"n": 2})]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("key", "most"), [(None, 14), ("abc", 15)])
def test_a_submission_is_cheap(
    stores_all: None, key: str | None, most: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    olga = identity("olga")
    with django_assert_max_num_queries(most):
        submit(olga, JobRequest(kind="sums", title="once", idempotency_key=key), sent([]))
