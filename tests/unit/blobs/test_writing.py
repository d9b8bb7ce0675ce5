"""Bytes on their way to a file: in blocks, no more than may come, and finished before anybody goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from clustercore.access.domain.errors import TooLarge
from clustercore.blobs.sockets.bodies import BLOCK_BYTES
from clustercore.blobs.sockets.writing import BlockWriter


class Memory:
    """A file that remembers each block."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Event()

    @property
    def size(self) -> int:
        return sum(map(len, self.blocks))

    def write(self, block: bytes | bytearray) -> None:
        self.entered.set()
        self.go_on.wait(10)
        self.blocks.append(bytes(block))


def test_less_than_a_block_waits_until_all_of_it_is_wanted() -> None:
    async def write() -> list[int]:
        file = Memory()
        writer = BlockWriter(file)
        writer.take(b"x" * (BLOCK_BYTES - 1))
        await writer.write(all_of_it=False)
        before = file.size
        writer.take(b"yz")
        await writer.write(all_of_it=False)
        writer.take(b"!")
        await writer.write(all_of_it=True)
        return [before, *map(len, file.blocks)]

    assert asyncio.run(write()) == [0, BLOCK_BYTES + 1, 1]


def test_of_more_than_may_come_what_fits_is_kept() -> None:
    async def write() -> bytes:
        file = Memory()
        writer = BlockWriter(file, (5, TooLarge("five bytes were announced")))
        writer.take(b"abc")
        await writer.write(all_of_it=True)
        with pytest.raises(TooLarge, match="five bytes"):
            writer.take(b"defgh")
        await writer.write(all_of_it=True)
        return b"".join(file.blocks)

    assert asyncio.run(write()) == b"abcde"


def test_who_is_interrupted_waits_for_the_block_that_is_being_written() -> None:
    async def interrupt() -> int:
        file = Memory()
        file.go_on.clear()
        writer = BlockWriter(file)
        writer.take(b"abc")
        writing = asyncio.create_task(writer.write(all_of_it=True))
        await asyncio.to_thread(file.entered.wait, 10)
        writing.cancel()
        await asyncio.sleep(0)
        file.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
        return file.size

    assert asyncio.run(interrupt()) == 3
