"""Bodies that come slowly, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clustercore.blobs.sockets import bodies
from clustercore.blobs.sockets.bodies import Body, ClientLeft, length_of

Receive = Callable[[], Awaitable[dict[str, Any]]]


def arriving(*messages: dict[str, Any], pause: float = 0.0) -> Receive:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause if waiting else 60)
        return waiting.pop(0)

    return receive


def part(content: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


async def whole(body: Body) -> bytes:
    content = b""
    while body.more:
        content += await body.next_block()
    return content


def test_a_body_is_its_parts() -> None:
    body = Body(arriving(part(b"ab"), part(b"cd", more=False)))
    assert asyncio.run(whole(body)) == b"abcd"
    assert body.size == 4


def test_silence_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SILENCE_SECONDS", 0.05)
    with pytest.raises(TimeoutError):
        asyncio.run(whole(Body(arriving(part(b"ab")))))


def test_a_trickle_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_PATIENCE_SECONDS", 0.05)
    trickle = [part(b"x") for _ in range(50)]
    with pytest.raises(TimeoutError):
        asyncio.run(whole(Body(arriving(*trickle, pause=0.02))))


def test_a_client_that_left_is_told_apart_from_the_end() -> None:
    with pytest.raises(ClientLeft):
        asyncio.run(whole(Body(arriving(part(b"ab"), {"type": "http.disconnect"}))))


@pytest.mark.parametrize(
    ("header", "length"), [("12", 12), ("", -1), ("-5", -1), ("1e3", -1), ("٣", -1), ("9" * 30, -1)]
)  # fmt: skip
def test_a_length_is_a_plain_number_or_nothing(header: str, length: int) -> None:
    assert length_of({"content-length": header}) == length
