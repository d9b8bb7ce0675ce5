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

from clustercore.jobs.models import Job
from clustercore.jobs.services.submit import JobRequest, KeyReused, submit_job
from tests.people import person

pytestmark = pytest.mark.django_db


def test_a_known_idempotency_key_gives_the_job_that_has_it() -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    first, new = submit_job(request, backlog_limit=10)
    again, new_again = submit_job(request, backlog_limit=10)
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
    job, _ = submit_job(request, backlog_limit=10)
    with pytest.raises(KeyReused, match=f"job {job.pk} has this key"):
        submit_job(replace(request, **other), backlog_limit=10)
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
    job, _ = submit_job(JobRequest(**asked), backlog_limit=10)
    assert submit_job(LaterRequest(**asked), backlog_limit=10) == (job, False)
    with pytest.raises(KeyReused):
        submit_job(LaterRequest(**asked, speakers=2), backlog_limit=10)


def test_one_key_is_one_request_for_each_owner() -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    submit_job(request, backlog_limit=10)
    other = replace(request, owner_id=person("otto").pk, title="another")
    assert submit_job(other, backlog_limit=10)[1]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_the_key_of_a_job_that_came_to_nothing_goes_to_the_next_one(state: str) -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    first, _ = submit_job(request, backlog_limit=10)
    Job.objects.filter(pk=first.pk).update(state=state)
    second, is_new = submit_job(replace(request, title="another"), backlog_limit=10)
    first.refresh_from_db()
    assert (is_new, first.idempotency_key, second.idempotency_key) == (True, None, "abc")
    assert submit_job(replace(request, title="another"), backlog_limit=10) == (second, False)


@pytest.mark.parametrize("state", ["running", "paused", "done"])
def test_a_job_that_serves_keeps_its_key(state: str) -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    first, _ = submit_job(request, backlog_limit=10)
    Job.objects.filter(pk=first.pk).update(state=state)
    assert submit_job(request, backlog_limit=10) == (first, False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", ["nothing", "failed"])
def test_of_eight_requests_at_once_with_one_key_one_makes_the_job(before: str) -> None:
    request = JobRequest(kind="sums", title="once", idempotency_key="abc")
    if before == "failed":
        Job.objects.filter(pk=submit_job(request, backlog_limit=100)[0].pk).update(state="failed")
    start = Barrier(8)

    def submit(number: int) -> str:
        try:
            start.wait(10)
            _, is_new = submit_job(replace(request, title=("odd", "even")[number % 2]), backlog_limit=100)
            return "new" if is_new else "known"
        except KeyReused:
            return "refused"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(submit, range(8))) == {"new": 1, "known": 3, "refused": 4}
