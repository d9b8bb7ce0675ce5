"""Supervision beside other work: a thread with an event loop of its own, which its owner need not turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

from clustercore.embedded.adapters.program import Program
from clustercore.embedded.adapters.supervised import SupervisedProgram, Tell, stop_all


class SupervisingThread:
    """Keeps programs until it is closed. On Linux they are told, by their first signal, should it end before."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._loop = asyncio.new_event_loop()
        self._lives: dict[SupervisedProgram, Future[None]] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="supervision", daemon=True)
        self._thread.start()

    @property
    def programs(self) -> Iterable[SupervisedProgram]:
        """All that are kept, in the order of their start."""
        return self._lives.keys()

    def keep(self, program: Program) -> SupervisedProgram:
        """Starts a program, and starts it again when it ends."""
        one = SupervisedProgram(program, self._tell)
        self._lives[one] = asyncio.run_coroutine_threadsafe(one.run(), self._loop)
        return one

    def check(self) -> None:
        """Raises what kept a program from being kept, which nobody foresaw."""
        for life in self._lives.values():
            if life.done():
                life.result()

    def hurry(self) -> None:
        """Sends all of them their first signal once more."""
        for one in self._lives:
            self._loop.call_soon_threadsafe(one.hurry)

    def close(self) -> None:
        """Stops all of them, and returns when they have ended; safe to call twice."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(stop_all(self._lives), self._loop).result()
        wait(self._lives.values())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.check()


@contextmanager
def supervising(tell: Tell) -> Iterator[SupervisingThread]:
    """Keeps programs for as long as the block runs; `tell` hears what becomes of them."""
    thread = SupervisingThread(tell)
    try:
        yield thread
    finally:
        thread.close()
