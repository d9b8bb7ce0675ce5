"""Whose turn it is with an upload: one request at a time, and whoever comes ends the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from clustercore.blobs.domain.errors import UploadTakenOver

T = TypeVar("T")


class Turn:
    """One request's time with an upload. It ends when another request comes for the upload."""

    def __init__(self) -> None:
        self._is_over = False
        self._work: asyncio.Task[Any] | None = None

    def end(self) -> None:
        """Interrupts the work. Once: what it does to come to rest is not interrupted."""
        if not self._is_over:
            self._is_over = True
            if self._work is not None:
                self._work.cancel()

    def check(self) -> None:
        """Raises UploadTakenOver when the turn is over."""
        if self._is_over:
            raise UploadTakenOver("another connection goes on with this upload: ask how much of it came")

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does the work, unless or until the turn is over; returns when it is at rest. Raises UploadTakenOver."""
        task: asyncio.Task[T] = asyncio.create_task(work)
        self._work = task
        if self._is_over:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            self.check()
            raise


@dataclass
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    turns: list[Turn] = field(default_factory=list)


class Writers:
    """The turns with all uploads of this process."""

    def __init__(self) -> None:
        self._queues: dict[UUID, _Queue] = {}

    @asynccontextmanager
    async def turn(self, upload_id: UUID) -> AsyncIterator[Turn]:
        """Ends every earlier turn with this upload, waits until it is at rest, and begins one's own.

        Raises UploadTakenOver when somebody came meanwhile.
        """
        queue = self._queues.setdefault(upload_id, _Queue())
        for earlier in queue.turns:
            earlier.end()
        turn = Turn()
        queue.turns.append(turn)
        try:
            async with queue.lock:
                turn.check()
                yield turn
        finally:
            queue.turns.remove(turn)
            if not queue.turns:
                del self._queues[upload_id]
