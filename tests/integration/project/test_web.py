"""The web process knows who is asking, also behind the gateway, and also before a file is read."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis

from clustercore.access.adapters.counters import PREFIX
from clustercore.embedded.adapters.gateway import Address, running_gateway
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.domain.preface import preface
from clustercore.embedded.domain.protocols import Protocol
from clustercore.project import web
from tests.people import token_of

pytestmark = [pytest.mark.services]
CLIENT = "127.0.0.9"
LIMIT = 5
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}


@pytest.fixture
def web_port(service_environment: dict[str, str], redis_client: redis.Redis) -> Iterator[int]:
    port = free_loopback_port()
    variables = {**service_environment, "CLUSTERCORE_REQUESTS_PER_MINUTE": str(LIMIT)}
    with subprocess.Popen(web.command(port=port), env=variables) as process:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline and process.poll() is None, "the web process did not come up"
                time.sleep(0.05)
        yield port
        process.terminate()


def counted(redis_client: redis.Redis) -> set[str]:
    keys: Any = redis_client.keys(f"{PREFIX}requests:address:*")
    return {key.decode().rpartition("address:")[2] for key in keys}


def test_the_gateways_clients_are_counted_by_their_own_addresses(web_port: int, redis_client: redis.Redis) -> None:
    upstream = Address("127.0.0.1", web_port, preface_secret=web.secret_of_preface())
    with running_gateway("127.0.0.1", 0, {Protocol.WEB: upstream}) as (host, port):
        transport = httpx.HTTPTransport(local_address=CLIENT)
        with httpx.Client(transport=transport, base_url=f"http://{host}:{port}") as client:
            answers = [client.get("/v1/none", headers={"X-Forwarded-For": "203.0.113.1"}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {404}
    assert counted(redis_client) == {CLIENT}


def test_who_comes_without_the_gateway_is_counted_by_the_connections_address(
    web_port: int, redis_client: redis.Redis
) -> None:
    httpx.get(f"http://127.0.0.1:{web_port}/v1/none", headers={"X-Forwarded-For": "203.0.113.1"})
    assert counted(redis_client) == {"127.0.0.1"}


def test_nobody_can_claim_an_address_without_the_secret(web_port: int, redis_client: redis.Redis) -> None:
    claim = preface("a guess", "203.0.113.1", 1) + b"GET /v1/none HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web_port), timeout=10) as connection:
        connection.sendall(claim)
        assert connection.recv(100) == b""
    assert counted(redis_client) == set()


def form(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/v1/audio/transcriptions", files={"file": ("a.wav", b"no sound")}, headers=headers)


def upload(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/api/v1/uploads", headers={**TUS, **headers})


@pytest.mark.parametrize("send", [form, upload])
def test_what_brings_a_file_is_asked_for_name_origin_and_haste_before_it_is_read(
    web_port: int, redis_client: redis.Redis, send: Callable[..., httpx.Response]
) -> None:
    token = token_of("otto")
    with httpx.Client(base_url=f"http://127.0.0.1:{web_port}", timeout=30) as client:
        foreign_name = send(client, Host="rebound.example")
        foreign_page = send(client, Cookie="sessionid=x", Origin="https://evil.example")
        answers = [send(client, Authorization=f"Bearer {token}") for _ in range(LIMIT + 2)]
    assert (foreign_name.status_code, foreign_name.json()["error"]["code"]) == (421, "unknown_host")
    assert (foreign_page.status_code, foreign_page.json()["error"]["code"]) == (403, "foreign_origin")
    assert [answer.status_code == 429 for answer in answers] == [False] * LIMIT + [True] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    for answer in (foreign_name, answers[0], answers[-1]):
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert len(answer.headers.get_list("x-request-id")) == 1
