"""Forms that were made to hurt: they are refused early, and leave nothing behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.transcription.api.conftest import Hub
from tests.integration.transcription.api.test_transcriptions import kept_files

PLACE = "/v1/audio/transcriptions"
BOUNDARY = "limit"
PART = b'--limit\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
FILE = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'


def send(hub: Hub, body: bytes, *, length: int | None = None, token: str | None = None, expect: bool = False) -> str:
    """The raw answer to a form that is sent as it is, and then no more."""
    where = urlsplit(hub.url)
    headers = [
        f"POST {PLACE} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token or hub.token('otto')}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {len(body) if length is None else length}",
        *(["Expect: 100-continue"] if expect else []),
    ]
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=30) as link:
        link.sendall("\r\n".join(headers).encode() + b"\r\n\r\n" + body)
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            block = link.recv(65536)
            if not block:
                break
            answer += block
    return answer.decode(errors="replace")


def status_of(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


def test_ten_thousand_parts_are_too_many(hub: Hub) -> None:
    answer = send(hub, PART * 10_000 + b"--limit--\r\n")
    assert status_of(answer) == 413 and "too_many_parts" in answer


def test_fields_are_not_gathered_in_memory_without_end(hub: Hub) -> None:
    big = PART.replace(b"\r\nb\r\n", b"\r\n" + b"x" * 600_000 + b"\r\n")
    assert status_of(send(hub, big + b"--limit--\r\n")) == 413


@pytest.mark.parametrize(
    "body",
    [
        FILE + b"sound",
        FILE + b"sound\r\n--limit\r\nContent-Disposition: form-data\r\n\r\nx\r\n--limit--\r\n",
        PART.replace(b'"a"', b"\"a\"; filename*=UTF-8''a; filename*0=b") + b"--limit--\r\n",
        PART.replace(b'"a"', b"\"a\"; filename*=undefined''b") + b"--limit--\r\n",
        b"no form at all",
        b"--limit\r\n" + b"X" * 20_000 + b": y\r\n\r\nz\r\n--limit--\r\n",
        b"--limit\r\nA: b\r\n" * 10 + b"\r\n--limit--\r\n",
        b"",
    ],
)
def test_a_form_that_cannot_be_read_is_refused(hub: Hub, body: bytes) -> None:
    before = kept_files(hub)
    assert status_of(send(hub, body)) == 400
    assert kept_files(hub) == before


def test_a_body_that_is_shorter_than_it_said_leaves_nothing(hub: Hub) -> None:
    before = kept_files(hub)
    where = urlsplit(hub.url)
    head = f"POST {PLACE} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {hub.token('otto')}\r\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 9000000\r\n\r\n"
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=30) as link:
        link.sendall(head.encode() + FILE + bytes(500_000))
    assert kept_files(hub) == before


def test_a_longer_body_than_the_hub_takes_is_refused_before_it_comes(hub: Hub) -> None:
    answer = send(hub, b"", length=10**12, expect=True)
    assert status_of(answer) == 413 and "100 Continue" not in answer


def test_a_stranger_is_refused_before_a_byte_is_read(hub: Hub) -> None:
    for token, status in (("cc_wrong", 401), (hub.token("vera"), 403)):
        answer = send(hub, b"", length=5_000_000, token=token, expect=True)
        assert status_of(answer) == status and "100 Continue" not in answer
        assert '"error"' in answer


@pytest.mark.parametrize("path", ["/api/v1/tokens", "/sign-in/", "/v1/models"])
def test_a_large_body_where_nobody_uploads_is_refused_before_it_is_written_anywhere(hub: Hub, path: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(100_000)

    with httpx.Client(base_url=hub.url, trust_env=False, timeout=30) as client:
        told = client.post(
            path, content=endless(), headers={"Content-Length": "20000000", "Content-Type": "text/plain"}
        )
        assert told.status_code == 413
        untold = client.post(path, content=endless(), headers={"Content-Type": "text/plain"})
        assert untold.status_code == 413
    with hub.client("vera") as onlooker:
        assert onlooker.post(path, content=bytes(11_000_000)).status_code == 413
