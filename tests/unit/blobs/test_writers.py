"""Turns with an upload: one at a time, the latest first."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from clustercore.blobs.domain.errors import UploadTakenOver
from clustercore.blobs.sockets.writers import Writers

UPLOAD = uuid4()


async def take(writers: Writers, name: str, told: list[str], *, begun: asyncio.Event | None = None) -> None:
    """A writer that needs a moment to come to rest; with `begun`, which it sets, it goes on until it is ended."""

    async def work() -> None:
        told.append(f"{name} writes")
        try:
            if begun is not None:
                begun.set()
                await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            told.append(f"{name} rests")

    async with writers.turn(UPLOAD) as turn:
        await turn.run(work())


def test_of_many_that_come_at_once_only_the_last_writes_and_after_the_one_before_rests() -> None:
    async def scene() -> tuple[list[str], list[object]]:
        writers, told, begun = Writers(), list[str](), asyncio.Event()
        first = asyncio.create_task(take(writers, "first", told, begun=begun))
        await begun.wait()
        others = [take(writers, name, told) for name in ("second", "third", "fourth")]
        return told, list(await asyncio.gather(first, *others, return_exceptions=True))

    told, ends = asyncio.run(scene())
    assert told == ["first writes", "first rests", "fourth writes", "fourth rests"]
    assert [type(end) if isinstance(end, UploadTakenOver) else end for end in ends] == [UploadTakenOver] * 3 + [None]


def test_uploads_do_not_wait_for_one_another() -> None:
    async def scene() -> None:
        writers = Writers()
        async with writers.turn(UPLOAD), asyncio.timeout(5), writers.turn(uuid4()) as turn:
            turn.check()

    asyncio.run(scene())


def test_a_server_that_stops_ends_a_writer_without_calling_it_taken_over() -> None:
    async def scene() -> list[str]:
        told, begun = list[str](), asyncio.Event()
        writer = asyncio.create_task(take(Writers(), "only", told, begun=begun))
        await begun.wait()
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        return told

    assert asyncio.run(scene()) == ["only writes", "only rests"]
