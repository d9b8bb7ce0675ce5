from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from clustercore.blobs import services
from clustercore.blobs.domain.signing import signed_path
from clustercore.blobs.models import Blob, Hub
from tests.integration.blobs.conftest import UPLOAD_LIMIT_GB, RunningHub

CONTENT = os.urandom(2_500_000)
HASH = hashlib.sha256(CONTENT).hexdigest()
Sign = Callable[[str, str], str]


@pytest.fixture
def client(hub: RunningHub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.url, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def stored(hub: RunningHub, tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return services.store_file(path, "text/html")


def test_the_whole_is_sent_as_something_no_browser_shows(client: httpx.Client, stored: str, signed: Sign) -> None:
    response = client.get(signed("GET", stored))
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["ETag"] == f'"{stored}"'
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == "attachment"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "part", "content_range"),
    [
        ("bytes=0-9", slice(0, 10), f"bytes 0-9/{len(CONTENT)}"),
        ("bytes=-5", slice(-5, None), f"bytes {len(CONTENT) - 5}-{len(CONTENT) - 1}/{len(CONTENT)}"),
        ("bytes=1000000-", slice(1_000_000, None), f"bytes 1000000-{len(CONTENT) - 1}/{len(CONTENT)}"),
    ],
)
def test_a_range_is_sent_as_asked(
    client: httpx.Client, stored: str, signed: Sign, *, asked: str, part: slice, content_range: str
) -> None:
    response = client.get(signed("GET", stored), headers={"Range": asked, "If-Range": f'"{stored}"'})
    assert (response.status_code, response.content) == (206, CONTENT[part])
    assert response.headers["Content-Range"] == content_range


def test_a_range_beyond_the_end_is_not_satisfiable(client: httpx.Client, stored: str, signed: Sign) -> None:
    response = client.get(signed("GET", stored), headers={"Range": f"bytes={len(CONTENT)}-"})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_a_range_of_something_else_gets_the_whole(client: httpx.Client, stored: str, signed: Sign) -> None:
    response = client.get(signed("GET", stored), headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (response.status_code, len(response.content)) == (200, len(CONTENT))


def test_the_head_says_the_length_and_sends_nothing(client: httpx.Client, stored: str, signed: Sign) -> None:
    response = client.head(signed("HEAD", stored))
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(CONTENT))


def test_an_unchanged_copy_is_not_sent_again(client: httpx.Client, stored: str, signed: Sign) -> None:
    assert client.get(signed("GET", stored), headers={"If-None-Match": f'"{stored}"'}).status_code == 304


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_old_signature_is_refused_with_the_reason(client: httpx.Client, stored: str, method: str) -> None:
    old = signed_path(Hub.objects.get().signing_key, method, stored, int(time.time()) - 5)
    response = client.request(method, old, content=CONTENT if method == "PUT" else None)
    assert (response.status_code, response.text.strip()) == (403, "expired")


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_forged_signature_is_refused_with_the_reason(
    client: httpx.Client, stored: str, signed: Sign, method: str
) -> None:
    for path in (f"/blobs/{stored}", signed("DELETE", stored), signed(method, "0" * 64).replace("0" * 64, stored)):
        response = client.request(method, path, content=CONTENT if method == "PUT" else None)
        assert (response.status_code, response.text.strip()) == (403, "bad signature")


def test_an_upload_becomes_a_blob(client: httpx.Client, hub: RunningHub, signed: Sign) -> None:
    response = client.put(signed("PUT", HASH), content=CONTENT, headers={"Content-Type": "audio/flac"})
    assert response.status_code == 201
    assert [path.read_bytes() for path in hub.files()] == [CONTENT]
    assert Blob.objects.get().media_type == "audio/flac"
    assert client.put(signed("PUT", HASH), content=CONTENT).status_code == 200


def test_an_upload_of_other_bytes_than_announced_is_not_kept(
    client: httpx.Client, hub: RunningHub, signed: Sign
) -> None:
    response = client.put(signed("PUT", HASH), content=CONTENT[:-1])
    assert response.status_code == 422
    assert "nothing was kept" in response.text
    assert hub.files() == []
    assert not Blob.objects.exists()


def test_an_upload_that_breaks_leaves_nothing(hub: RunningHub, signed: Sign) -> None:
    with socket.create_connection(("127.0.0.1", hub.port)) as link:
        link.sendall(_head(signed("PUT", HASH), len(CONTENT)) + CONTENT[:1_500_000])
        _wait_until(lambda: len(hub.files()) == 1)
    _wait_until(lambda: hub.files() == [])
    assert not Blob.objects.exists()


@pytest.mark.parametrize("beyond", ["the limit", "the disk"])
def test_an_upload_that_cannot_fit_is_refused_before_it_is_sent(hub: RunningHub, signed: Sign, beyond: str) -> None:
    free = shutil.disk_usage(hub.data_dir).free
    length, status = (UPLOAD_LIMIT_GB * 10**9 + 1, 413) if beyond == "the limit" else (free, 507)
    with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as link:
        link.sendall(_head(signed("PUT", HASH), length))
        answer = link.recv(4096).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert hub.files() == []


def test_an_upload_must_say_its_length(client: httpx.Client, hub: RunningHub, signed: Sign) -> None:
    response = client.put(signed("PUT", HASH), content=iter([CONTENT]))
    assert response.status_code == 411


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_without_a_hub_in_the_ledger_the_answer_is_to_come_back_later(
    client: httpx.Client, hub: RunningHub, signed: Sign, method: str
) -> None:
    path = signed(method, HASH)
    Hub.objects.all().delete()
    response = client.request(method, path, content=CONTENT if method == "PUT" else None)
    assert response.status_code == 503
    assert hub.files() == []


def _head(path: str, length: int) -> bytes:
    return f"PUT {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: {length}\r\n\r\n".encode()


def _wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
