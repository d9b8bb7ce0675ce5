"""One person's burst is answered to that person, and never makes another's request fail."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
import redis
from asgiref.sync import async_to_sync
from django.db import connections

from clustercore.access.services.turns import MOST_WAITING
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.project import web
from tests.conftest import database_url_of
from tests.faults.waiting import until
from tests.people import token_of
from tests.web.hub import answers

pytestmark = [pytest.mark.services]
BURST = MOST_WAITING + 50
NODES, ME = "/api/v1/nodes", "/api/v1/me"
SHARE = 4
"""Of one person, of the eight turns that a pool of ten connections allows."""


@pytest.fixture
def url(service_environment: dict[str, str], redis_client: redis.Redis) -> Iterator[str]:
    port = free_loopback_port()
    variables = {**service_environment, "CLUSTERCORE_REQUESTS_PER_MINUTE": "100000"}
    with subprocess.Popen(web.command(port=port), env=variables) as process:
        until(lambda: answers(f"http://127.0.0.1:{port}"), 60, "the web process does not answer")
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@asynccontextmanager
async def nodes_locked(services: Endpoints) -> AsyncIterator[None]:
    """Whoever asks for nodes meanwhile waits in the middle of it, with a connection in hand."""
    name = str(connections["default"].settings_dict["NAME"])
    async with await psycopg.AsyncConnection.connect(database_url_of(services.database_url, name)) as link:
        await link.execute("LOCK TABLE nodes_node IN ACCESS EXCLUSIVE MODE")
        yield
        await link.rollback()


def client(url: str, token: str = "", **options: Any) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    limits = httpx.Limits(max_connections=2 * BURST)
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits, trust_env=False, **options)


async def until_refused(burst: list[asyncio.Task[httpx.Response]]) -> list[httpx.Response]:
    """The first answers: what is one too many is told at once."""
    done: set[asyncio.Task[httpx.Response]] = set()
    async with asyncio.timeout(30):
        while len(done) < len(burst) - MOST_WAITING - SHARE:
            done, _ = await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
    return [task.result() for task in done]


@pytest.mark.parametrize("is_known", [True, False], ids=["seen before", "new"])
def test_a_burst_is_refused_to_who_sends_it_and_everybody_else_is_served(
    url: str, services: Endpoints, is_known: bool
) -> None:
    mine, theirs = token_of("otto"), token_of("olga")

    async def attack() -> tuple[list[int], list[httpx.Response], list[httpx.Response]]:
        async with client(url, mine) as attacker, client(url, theirs) as other, client(url) as nobody:
            if is_known:
                await attacker.get(ME)
            async with nodes_locked(services):
                burst = [asyncio.create_task(attacker.get(NODES)) for _ in range(BURST)]
                refused = await until_refused(burst)
                served = [(await other.get(ME)).status_code for _ in range(3)]
                served += [(await other.get("/jobs/")).status_code, (await nobody.get("/sign-in/")).status_code]
                served.append((await nobody.get("/static/clustercore/app.css")).status_code)
            return served, refused, await asyncio.gather(*burst)

    served, refused, all_answers = async_to_sync(attack)()
    assert served == [200] * 6
    assert {answer.status_code for answer in refused} == {429}
    assert refused[0].json()["error"]["code"] == "too_many_at_once"
    codes = Counter(answer.status_code for answer in all_answers)
    assert set(codes) <= {200, 429, 503}
    assert all("retry-after" in answer.headers for answer in all_answers if answer.status_code != 200)


def test_a_stranger_at_the_same_address_does_not_stop_who_is_new_there(url: str, services: Endpoints) -> None:
    token = token_of("olga")

    async def attack() -> tuple[int, Counter[int]]:
        async with client(url) as stranger, client(url, token) as other:
            burst = [asyncio.create_task(stranger.get("/sign-in/")) for _ in range(BURST)]
            served = (await other.get(ME)).status_code
            return served, Counter(answer.status_code for answer in await asyncio.gather(*burst))

    served, codes = async_to_sync(attack)()
    assert served == 200
    assert set(codes) <= {200, 429}


def test_people_are_told_by_a_page_and_programs_in_the_one_shape(url: str, services: Endpoints) -> None:
    token = token_of("otto")

    async def attack() -> tuple[httpx.Response, httpx.Response]:
        async with client(url, token) as attacker:
            await attacker.get(ME)
            async with nodes_locked(services):
                burst = [asyncio.create_task(attacker.get(NODES)) for _ in range(BURST)]
                await until_refused(burst)
                told = await attacker.get("/jobs/"), await attacker.get(ME)
            await asyncio.gather(*burst)
            return told

    page, program = async_to_sync(attack)()
    assert (page.status_code, program.status_code) == (429, 429)
    assert "Not so fast" in page.text and "default-src 'self'" in page.headers["content-security-policy"]
    assert program.json()["error"]["type"] == "rate_limit_error"
    assert page.headers["x-request-id"] and program.headers["retry-after"] == "2"


def test_who_reads_or_sends_slowly_holds_no_turn(url: str) -> None:
    token = token_of("otto")
    head = (
        f"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 9\r\n\r\n"
    )

    async def attack() -> int:
        host, port = url.removeprefix("http://").split(":")
        links = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        for _, writer in links:
            writer.write(head.encode())
            await writer.drain()
        async with client(url, token) as same:
            status = (await same.get(ME)).status_code
        for _, writer in links:
            writer.close()
        return status

    assert async_to_sync(attack)() == 200


def test_a_ledger_that_does_not_answer_is_503_with_when_to_come_back(url: str, services: Endpoints) -> None:
    token = token_of("otto")

    async def ask() -> list[httpx.Response]:
        async with client(url, token) as otto, nodes_locked(services):
            # Longer than a statement waits for a lock.
            return [*await asyncio.gather(otto.get(NODES), otto.get("/nodes/"))]

    for answer in async_to_sync(ask)():
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
