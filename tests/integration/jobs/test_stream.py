"""Server-sent events of one job: the whole state first, each change, and the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient, Client

from clustercore.access.models import ApiToken
from clustercore.jobs.domain import kinds
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import cancel_job, pause_job
from clustercore.jobs.services.submit import JobRequest, submit_job
from clustercore.live.services import streaming
from tests.fakes.jobs.kinds import SUMS
from tests.people import person, token_of

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 20


@pytest.fixture(autouse=True)
def sums(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(kinds._KINDS, "sums", SUMS)
    yield


def job_of(name: str) -> Job:
    job, _ = submit_job(JobRequest(kind="sums", title="add", owner_id=person(name).pk), backlog_limit=100)
    return job


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(name)}"}


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*fixtures: Any, **named: Any) -> None:
        async_to_sync(test)(*fixtures, **named)

    return run


class Stream:
    """What arrives, event by event."""

    def __init__(self, body: Any) -> None:
        self._parts: AsyncIterator[bytes] = body.__aiter__()

    async def next(self) -> tuple[str, Any]:
        """The name and the data of the next event; a comment is `(":", text)`."""
        async with asyncio.timeout(SECONDS):
            text = (await anext(self._parts)).decode()
        assert text.endswith("\n\n")
        if text.startswith(":"):
            return ":", text[1:].strip()
        name, data = text.strip().split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def is_over(self) -> bool:
        async with asyncio.timeout(SECONDS):
            return await anext(self._parts, None) is None


async def follow(job: Job, headers: dict[str, str], **others: str) -> Stream:
    response: Any = await AsyncClient().get(f"/api/v1/jobs/{job.pk}/stream", headers=headers | others)
    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    return Stream(response.streaming_content)


@in_a_loop
async def test_the_whole_state_then_each_change_then_the_end() -> None:
    job = await sync_to_async(job_of)("otto")
    headers = await sync_to_async(bearer)("otto")
    stream = await follow(job, headers)
    name, first = await stream.next()
    asked = await AsyncClient().get(f"/api/v1/jobs/{job.pk}", headers=headers)
    moving = {"elapsed_seconds", "waited_seconds", "seconds_left"}
    assert name == "progress"
    assert {k: v for k, v in first.items() if k not in moving} == {
        k: v for k, v in asked.json().items() if k not in moving
    }
    await sync_to_async(pause_job)(job.pk)
    assert (await stream.next())[1]["state"] == "paused"
    await sync_to_async(cancel_job)(job.pk)
    assert (await stream.next())[1]["state"] == "cancelled"
    assert await stream.next() == ("end", {})
    assert await stream.is_over()


@in_a_loop
async def test_a_job_that_is_over_is_told_once() -> None:
    job = await sync_to_async(job_of)("otto")
    await sync_to_async(cancel_job)(job.pk)
    stream = await follow(job, await sync_to_async(bearer)("otto"), Accept="text/event-stream")
    assert [(await stream.next())[0] for _ in range(2)] == ["progress", "end"]


@in_a_loop
async def test_while_nothing_happens_a_comment_keeps_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_SECONDS", 0.3)
    stream = await follow(await sync_to_async(job_of)("otto"), await sync_to_async(bearer)("otto"))
    assert [(await stream.next())[0] for _ in range(3)] == ["progress", ":", ":"]


@in_a_loop
async def test_it_ends_when_the_token_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "RECHECK_SECONDS", 0.3)
    stream = await follow(await sync_to_async(job_of)("otto"), await sync_to_async(bearer)("otto"))
    assert (await stream.next())[0] == "progress"
    await ApiToken.objects.all().adelete()
    names: list[str] = []
    while not names or names[-1] != "end":
        names.append((await stream.next())[0])
    assert set(names) <= {":", "end"}


def test_nobody_follows_what_they_may_not_see() -> None:
    job = job_of("otto")
    address = f"/api/v1/jobs/{job.pk}/stream"
    events = {"Accept": "text/event-stream"}
    assert Client().get(address, headers=events).status_code == 401
    refused = Client().get(address, headers=bearer("olga") | events)
    assert (refused.status_code, refused["Content-Type"]) == (404, "application/json")
    assert Client().get("/api/v1/jobs/999999/stream", headers=bearer("ada")).status_code == 404
