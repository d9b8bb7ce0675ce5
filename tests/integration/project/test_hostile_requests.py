"""Requests that are made to cost: deep, long, or huge. Each is refused within a second, and none fells anything."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from clustercore.access.services.audit import record
from clustercore.jobs.models import Job
from tests.people import identity, person, token_of

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("db", "redis_client")]
MOST_SECONDS = 1.0
DEPTH = 10_000


def program() -> Client:
    """An administrator's program, which every address lets in."""
    return Client(headers={"Authorization": f"Bearer {token_of('ada')}"}, raise_request_exception=False)


def api_paths() -> list[str]:
    """Every address for programs, its parameters filled in."""
    samples = {"int": "1", "uuid": "00000000-0000-4000-8000-000000000000", "str": "x", "path": "x", "node": "x"}

    def walk(patterns: list[Any], prefix: str) -> Iterator[str]:
        for one in patterns:
            route = prefix + str(one.pattern)
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, route)
            elif isinstance(one, URLPattern):
                yield route

    routes = [route for route in walk(get_resolver().url_patterns, "") if route.startswith(("api/", "v1/"))]
    return ["/" + re.sub(r"<(\w+):\w+>", lambda found: samples[found[1]], route) for route in routes]


def quickly(ask: Callable[[], Any]) -> Any:
    began, worked = time.monotonic(), time.process_time()
    answer = ask()
    # On a machine that others keep busy the clock says little; the processor's time, and a wide limit, say enough.
    assert time.process_time() - worked < MOST_SECONDS
    assert time.monotonic() - began < 5 * MOST_SECONDS
    return answer


def nested(depth: int) -> bytes:
    """About a megabyte of JSON, `depth` objects or lists within each other."""
    filling = b'"' + b"x" * (1_000_000 - 14 * depth) + b'"' if depth < 50_000 else b"1"
    return b'{"prompt":[' * depth + filling + b"]}" * depth


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_deep_document_is_refused_everywhere_and_costs_nothing(method: str) -> None:
    client, paths = program(), api_paths()
    assert len(paths) > 25
    for path in paths:
        redis.Redis.from_url(settings.REDIS_URL).flushall()
        answer = quickly(partial(client.generic, method, path, nested(DEPTH), "application/json"))
        assert 400 <= answer.status_code < 500, (path, answer.content[:500])
        assert set(json.loads(answer.content)) == {"error"}, path


BODIES = [
    b"[" * 900_000,
    b'{"a":' * 150_000,
    b'{"priority": ' + b"9" * 500_000 + b"}",
    b'{"priority": 1e' + b"9" * 400 + b"}",
    b'{"title": "' + b"\\u0000" * 1000 + b'"}',
    b'{"title": "\\ud800"}',
    b"\xff" * 1_000_000,
    b'{"title": NaN}',
    b"",
]


@pytest.mark.parametrize("path", ["/api/v1/transcriptions", "/api/v1/tokens", "/api/v1/uploads"])
def test_a_document_that_cannot_be_is_refused(path: str) -> None:
    client = program()
    for body in BODIES:
        answer = quickly(partial(client.post, path, body, content_type="application/json"))
        assert 400 <= answer.status_code < 500, (body[:40], answer.content[:500])


@pytest.mark.parametrize("field", ["url", "media_url", "source", "webhook", "callback_url", "file"])
def test_nobody_gives_the_hub_an_address_to_fetch(field: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        address = f"http://127.0.0.1:{canary.getsockname()[1]}/talk.mp3"
        answer = program().post("/api/v1/transcriptions", {field: address}, content_type="application/json")
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == field
        with pytest.raises(BlockingIOError):
            canary.accept()
    assert not Job.objects.exists()


PATTERNS = [
    "(a+)+$" * 1000,
    "%" * 10_000,
    "_" * 10_000,
    "\\" * 9_999,
    "a" * 60_000,
    "\0",
    "\ud7ff" * 5_000,
    "9" * 5_000,
]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/jobs/", "q"),
        ("/jobs/", "before"),
        ("/audit/", "actor"),
        ("/audit/", "target"),
        ("/audit/", "before"),
        ("/admin/jobs/job/", "q"),
        ("/api/v1/jobs", "search"),
        ("/api/v1/jobs", "cursor"),
        ("/api/v1/jobs", "limit"),
        ("/api/v1/jobs", "state"),
        ("/api/v1/nodes", "cursor"),
    ],
)
def test_a_search_that_is_made_to_cost_does_not(path: str, name: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(person("ada"))
    for number in range(200):
        record(identity("ada"), "job.cancel", "a" * 400 + str(number))
        Job.objects.create(kind="transcription", title="a" * 250, error="a" * 400, created=timezone.now())
    # The first request reads templates from the disk.
    assert client.get(path).status_code == 200
    for pattern in PATTERNS:
        answer = quickly(partial(client.get, path, {name: pattern}))
        assert answer.status_code < 500, (pattern[:10], answer.content[:500])


@pytest.mark.parametrize("path", ["/api/v1/jobs/{}", "/api/v1/jobs/{}/units", "/jobs/{}/", "/transcripts/{}/"])
def test_a_number_that_is_none_of_ours_is_not_found(path: str) -> None:
    client = program()
    for number in ("9" * 18, "9" * 19, "9" * 400, "9" * 5_000, "-1", "1e9", "\u0661"):
        assert quickly(partial(client.get, path.format(number))).status_code == 404, number[:20]


def test_a_line_end_in_an_address_begins_no_line_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clustercore.jobs.views.visible_jobs", lambda _identity: 1 / 0)
    forged = "%0d%0a2026-01-01 ERROR forged by a stranger"
    client = program()
    for path in (f"/jobs/1/{forged}/", f"/{forged}", f"/api/v1/{forged}", f"/nodes/{forged}/", "/jobs/"):
        client.get(path)
    assert caplog.messages
    assert [line for record in caplog.records for line in record.getMessage().splitlines()[1:]] == []
