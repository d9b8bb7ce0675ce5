"""The web process's server waits to be told that it should end, and does not look for it all the time."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from clustercore.project import web
from clustercore.project.web import Server

LONG = 3600.0


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Is asked by nobody."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(web, "_DATE_SECONDS", LONG)
    yield Server(uvicorn.Config(nothing, lifespan="off", log_config=None))


def is_waiting(server: Server) -> bool:
    return server._loop is not None


def test_a_server_ends_at_once_when_another_thread_says_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ticked, tick = threading.Event(), server.on_tick

    async def tick_and_say_so(counter: int) -> bool:
        ends = await tick(counter)
        ticked.set()
        return ends

    monkeypatch.setattr(server, "on_tick", tick_and_say_so)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert ticked.wait(20)
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def test_a_signal_ends_it_at_once(server: Server) -> None:
    async def told() -> None:
        task = asyncio.create_task(server.main_loop())
        while not is_waiting(server):
            await asyncio.sleep(0)
        server.handle_exit(signal.SIGTERM, None)
        async with asyncio.timeout(20):
            await task

    asyncio.run(told())
    assert server.should_exit


def test_one_that_was_told_before_it_began_does_not_wait(server: Server) -> None:
    server.should_exit = True

    async def begin() -> None:
        async with asyncio.timeout(20):
            await server.main_loop()

    asyncio.run(begin())
