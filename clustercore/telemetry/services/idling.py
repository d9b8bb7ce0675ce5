"""Requests that wait for long: what they hold meanwhile, and need not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections


async def hold_nothing() -> None:
    """Gives back the thread and the connection to the ledger that a request got while its middleware ran.

    Django keeps both until the request ends. One that waits, or streams, calls this first: hundreds may wait at once,
    and the pool of connections has room for a few. What runs in a thread afterwards gets a new one.
    """
    await sync_to_async(connections.close_all)()
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None:
        executor = SyncToAsync.context_to_thread_executor.pop(context, None)
        if isinstance(executor, ThreadPoolExecutor):
            executor.shutdown(wait=False)
