"""`?wait=` on a job: the answer comes with its end, and holds nothing of the hub until then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.jobs.api import waiting
from clustercore.jobs.models import Job
from clustercore.jobs.services import telling
from clustercore.jobs.services.control import cancel_job, pause_job, remove_job
from clustercore.live.adapters import notices
from tests.fakes.nodes.polling import until
from tests.integration.jobs.conftest import with_parts
from tests.integration.live.conftest import Web
from tests.people import person, token_of

pytestmark = pytest.mark.usefixtures("redis_client")


@pytest.fixture
def otto(web: Web) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {token_of('otto')}"}
    with httpx.Client(base_url=f"http://{web.host}/api/v1", headers=headers, timeout=30, trust_env=False) as client:
        yield client


def job_of(name: str) -> Job:
    return with_parts(2, owner_id=person(name).pk)[0]


def waiting_now() -> int:
    """How many wait in this process's event loops."""
    return sum(len(here._listeners) for here in list(notices._NOTICES.values()))


def waited(client: httpx.Client, job: Job, seconds: Any) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    answer = client.get(f"/jobs/{job.pk}", params={"wait": seconds})
    return answer, time.monotonic() - began


def test_the_answer_comes_when_the_job_is_over_and_not_when_it_changes(otto: httpx.Client) -> None:
    job = job_of("otto")
    with ThreadPoolExecutor() as threads:
        waiting_for = threads.submit(waited, otto, job, 25)
        until(lambda: waiting_now() == 1)
        pause_job(job.pk)
        until(lambda: telling._TELLER.is_at_rest)
        assert not waiting_for.done()
        cancel_job(job.pk)
        over = time.monotonic()
        answer, _ = waiting_for.result()
    assert answer.json()["state"] == "cancelled"
    assert time.monotonic() - over < 10


def test_it_comes_after_the_seconds_that_were_given_and_at_once_for_a_job_that_is_over(otto: httpx.Client) -> None:
    job = job_of("otto")
    answer, seconds = waited(otto, job, "0.6")
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    assert seconds >= 0.6
    cancel_job(job.pk)
    answer, seconds = waited(otto, job, 25)
    assert answer.json()["state"] == "cancelled" and seconds < 10


def test_a_job_that_is_removed_meanwhile_is_not_found(otto: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of("otto")

    def gone_meanwhile(job_id: int) -> bool:
        cancel_job(job_id)
        remove_job(job_id)
        return False

    monkeypatch.setattr(waiting, "_is_open", gone_meanwhile)
    assert waited(otto, job, 5)[0].status_code == 404


@pytest.mark.parametrize("seconds", ["soon", "-1", "61", "nan", "inf", ""])
def test_seconds_that_mean_nothing_are_refused_by_name(otto: httpx.Client, seconds: str) -> None:
    answer, _ = waited(otto, job_of("otto"), seconds)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "wait")
    assert "from 0 to 60" in error["message"]


def test_nobody_waits_for_a_job_that_they_may_not_see(otto: httpx.Client, web: Web) -> None:
    job = job_of("olga")
    assert waited(otto, job, 25)[0].status_code == 404
    assert httpx.get(f"http://{web.host}/api/v1/jobs/{job.pk}?wait=25", trust_env=False).status_code == 401


def test_more_wait_than_the_ledger_has_connections_for_by_one_subscription(
    otto: httpx.Client, redis_client: redis.Redis
) -> None:
    job = job_of("otto")
    with ThreadPoolExecutor(30) as threads:
        all_waiting = [threads.submit(waited, otto, job, 25) for _ in range(30)]
        until(lambda: waiting_now() == 30)
        assert otto.get("/jobs").status_code == 200
        [channel] = redis_client.pubsub_channels("clustercore:*:changed")
        assert redis_client.pubsub_numsub(channel)[0][1] == 1
        assert not any(one.done() for one in all_waiting)
        cancel_job(job.pk)
        assert {one.result()[0].json()["state"] for one in all_waiting} == {"cancelled"}


def test_without_redis_the_end_is_found_by_looking(
    sums: Any, services: Endpoints, settings: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    web: Web = request.getfixturevalue("web")
    job = job_of("otto")
    headers = {"Authorization": f"Bearer {token_of('otto')}"}
    ending = threading.Timer(0.5, cancel_job, [job.pk])
    ending.start()
    answer = httpx.get(f"http://{web.host}/api/v1/jobs/{job.pk}?wait=25", headers=headers, timeout=30, trust_env=False)
    ending.join()
    assert answer.json()["state"] == "cancelled"
