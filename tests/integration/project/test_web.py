"""The web process behind the gateway knows who is asking."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from clustercore.access.adapters.counters import PREFIX
from clustercore.embedded.adapters.gateway import Address, running_gateway
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.domain.preface import preface, preface_secret
from clustercore.embedded.domain.protocols import Protocol
from clustercore.project import web

pytestmark = [pytest.mark.services]
CLIENT = "127.0.0.9"


@pytest.fixture
def web_port(service_environment: dict[str, str], redis_client: redis.Redis) -> Iterator[int]:
    port = free_loopback_port()
    with subprocess.Popen(web.command(port=port), env=service_environment) as process:
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
    claim = preface(preface_secret("a guess"), "203.0.113.1", 1) + b"GET /v1/none HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web_port), timeout=10) as connection:
        connection.sendall(claim)
        assert connection.recv(100) == b""
    assert counted(redis_client) == set()
