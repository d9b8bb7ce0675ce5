"""Requests that wait for long: what they hold meanwhile, and need not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections

from clustercore.access.services.turns import turn, visitor_here

T = TypeVar("T")


async def release_connection() -> None:
    """Gives back the thread, the connection to the ledger and the turn that a request got while its middleware ran.

    Django keeps both until the request ends. One that waits, or streams, calls this first: hundreds may wait at once,
    and the pool of connections has room for a few. What runs in a thread afterwards gets a new one.
    """
    await sync_to_async(connections.close_all)()
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None:
        executor = SyncToAsync.context_to_thread_executor.pop(context, None)
        if isinstance(executor, ThreadPoolExecutor):
            executor.shutdown(wait=False)
    visitor = visitor_here()
    if visitor is not None:
        visitor.end_turn()


async def in_thread(work: Callable[[], T]) -> T:
    """Runs what reads the ledger in a thread, when its turn has come, and gives its connection back to the pool.

    Raises what it raises, and TooManyAtOnce, HubBusy where no turn came.
    """

    def run() -> T:
        try:
            return work()
        finally:
            # No request of Django's ends here, so nothing else would give this thread's connection back.
            connections.close_all()

    async with turn():
        return await asyncio.to_thread(run)
