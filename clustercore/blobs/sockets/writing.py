"""The one way of bytes from a connection to the store's disk: gathered in blocks, and written off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from clustercore.blobs.sockets.bodies import BLOCK_BYTES, Body

T = TypeVar("T")


class Growing(Protocol):
    """A file that bytes are added to, and how many it has."""

    @property
    def size(self) -> int: ...

    def write(self, block: bytes | bytearray) -> None: ...


class BlockWriter:
    """Adds what comes to a file that may become `limit[0]` bytes long: where more comes, `limit[1]` is raised."""

    def __init__(self, file: Growing, limit: tuple[int, Exception] | None = None) -> None:
        self._file, self._limit = file, limit
        self._waiting = bytearray()

    def take(self, data: bytes) -> None:
        """Takes the next bytes, as far as they fit. Raises what `limit` says where not all do."""
        if self._limit is None:
            self._waiting += data
            return
        room = self._limit[0] - self._file.size - len(self._waiting)
        self._waiting += data[:room]
        if len(data) > room:
            raise self._limit[1]

    async def write(self, *, all_of_it: bool) -> None:
        """Writes what waits, once it is a block or `all_of_it` is wanted. Raises StoreFull."""
        if self._waiting and (all_of_it or len(self._waiting) >= BLOCK_BYTES):
            block, self._waiting = self._waiting, bytearray()
            await at_rest(asyncio.to_thread(self._file.write, block))


async def pour(body: Body, writer: BlockWriter, read: Callable[[bytes], None]) -> None:
    """Lets `read` see the body block by block, and writes what it gives to the writer."""
    while body.more:
        read(await body.next_block())
        await writer.write(all_of_it=not body.more)


async def at_rest(work: Coroutine[Any, Any, T]) -> T:
    """Waits for what a thread does with a file: it goes on when its awaiter is cancelled."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise
