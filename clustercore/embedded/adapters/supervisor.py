"""The one process per data directory that runs its PostgreSQL and its Redis: `python -m …supervisor DATA_DIR SECONDS`.

It detaches itself, holds the data directory's lock, and answers on a control socket in JSON lines:

- `{"op": "hold", "linger_seconds": 30}` counts as a client until the connection closes; the answer, and every later
  change, is a status line. The servers stop `linger_seconds` after the last such connection closed.
- `{"op": "status"}` answers one status line. `{"op": "stop"}` does the same and stops the servers, with
  `"unless_held": true` only where they have no client.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from clustercore.embedded.adapters.descriptors import raise_descriptor_limit
from clustercore.embedded.adapters.directories import layout_of, prepare
from clustercore.embedded.adapters.locks import try_lock
from clustercore.embedded.adapters.logs import rotating_log
from clustercore.embedded.adapters.postgres import postgres_program
from clustercore.embedded.adapters.processes import end_leftovers
from clustercore.embedded.adapters.program_process import LOG
from clustercore.embedded.adapters.progress import processor_seconds
from clustercore.embedded.adapters.supervised import SupervisedProgram, stop_all
from clustercore.embedded.adapters.valkey import valkey_program
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout
from clustercore.embedded.domain.supervision import ALREADY_RUNNING

_PROGRESS_SECONDS = 2.0
_FIRST_CLIENT_SECONDS = 10.0
"""Whoever starts a supervisor needs a moment to come back to it."""


class Supervisor:
    """Both servers, their clients, and the decision to stop."""

    def __init__(self, layout: Layout, listener: socket.socket, linger_seconds: float) -> None:
        self._layout = layout
        self._listener = listener
        self._linger_seconds = linger_seconds
        self._servers: list[SupervisedProgram] = []
        self._holders: set[asyncio.StreamWriter] = set()
        self._stop = asyncio.Event()
        self._phase = "starting"
        self._message = ""
        self._linger: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until told to stop, left alone for long enough, or a server failed for good."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop_because, "stopping", "asked by a signal")
        control = await asyncio.start_unix_server(self._serve, sock=self._listener)
        self._stop_after(max(self._linger_seconds, _FIRST_CLIENT_SECONDS), "nobody came")
        tasks: list[asyncio.Task[None]] = []
        teller = asyncio.create_task(self._tell_of_progress())
        try:
            await self._build()
            tasks = [asyncio.create_task(server.run()) for server in self._servers]
        except (EmbeddedError, OSError) as error:
            LOG.exception("the servers cannot start")
            self._stop_because("failed", str(error))
        await self._stop.wait()
        teller.cancel()
        self._layout.control_socket.unlink(missing_ok=True)
        control.close()
        await stop_all(self._servers)
        await asyncio.gather(*tasks)
        for writer in list(self._holders):
            writer.close()

    async def _build(self) -> None:
        """Make directories, programs and the database; may take seconds the first time, minutes on a slow machine."""
        account = prepare(self._layout)
        await end_leftovers(self._layout.postgres_data, frozenset({"postgres"}), signal.SIGINT)
        # In a thread, so that those who wait are answered meanwhile.
        database = await asyncio.to_thread(postgres_program, self._layout, account)
        broker = await asyncio.to_thread(valkey_program, self._layout, account)
        self._servers = [SupervisedProgram(one, LOG.warning, self._server_changed) for one in (database, broker)]

    async def _tell_of_progress(self) -> None:
        """While the servers start, whoever waits hears that they get on: some database, some machine takes minutes."""
        spent = 0
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            if self._phase != "starting":
                continue
            before, spent = spent, processor_seconds(os.getpid())
            if spent != before:
                self._tell_all()

    def _server_changed(self) -> None:
        states = [server.state for server in self._servers]
        if "failed" in states:
            self._stop_because("failed", "a server ended again and again before it took clients")
        elif self._phase in ("starting", "ready"):
            self._phase = "ready" if all(state == "ready" for state in states) else "starting"
        self._tell_all()

    def _status(self) -> dict[str, Any]:
        return {
            "phase": self._phase,
            "message": self._message or self._waits_for(),
            "pid": os.getpid(),
            "clients": len(self._holders),
            "linger_seconds": self._linger_seconds,
            "servers": {
                server.program.name: {"state": server.state, "pid": server.pid, "restarts": server.restarts}
                for server in self._servers
            },
        }

    def _waits_for(self) -> str:
        """What keeps a server from running, as long as it does."""
        waiting = [
            f"{server.program.name} waits: the machine has {server.short}" for server in self._servers if server.short
        ]
        return "; ".join(waiting)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, AttributeError):
            request = json.loads(await reader.readline())
            operation = request.get("op")
            if operation == "stop" and not (request.get("unless_held") and self._holders):
                self._stop_because("stopping", "asked by a command")
            if operation == "hold":
                await self._hold(reader, writer, float(request.get("linger_seconds", self._linger_seconds)))
            elif operation in ("status", "stop"):
                self._tell(writer)
                await writer.drain()
        writer.close()

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, linger_seconds: float) -> None:
        self._holders.add(writer)
        self._linger_seconds = linger_seconds
        if self._linger is not None:
            self._linger.cancel()
        self._tell(writer)
        try:
            while await reader.read(4096):
                pass
        finally:
            self._holders.discard(writer)
            self._wait_for_clients()

    def _wait_for_clients(self) -> None:
        if not self._holders:
            self._stop_after(self._linger_seconds, "the last client left")

    def _stop_after(self, seconds: float, why: str) -> None:
        self._linger = asyncio.get_running_loop().call_later(seconds, self._stop_because, "stopping", why)

    def _stop_because(self, phase: str, message: str) -> None:
        if not self._stop.is_set():
            LOG.info("%s: %s", phase, message)
            self._phase, self._message = phase, message
            self._stop.set()
            self._tell_all()

    def _tell_all(self) -> None:
        for writer in self._holders:
            self._tell(writer)

    def _tell(self, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(self._status()).encode() + b"\n")


def _bound_listener(path: Path) -> socket.socket:
    """Only the holder of the lock comes here, so a socket that lies there has no listener."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(64)
    return listener


def _detach() -> None:
    """Go on in a child that nobody waits for; the caller sees this process end when the control socket is there."""
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def main(arguments: list[str]) -> int:
    """Start the supervisor of a data directory; ALREADY_RUNNING when it has one."""
    layout, linger_seconds = layout_of(Path(arguments[0])), float(arguments[1])
    os.umask(0o077)
    raise_descriptor_limit()
    os.chdir("/")
    lock = try_lock(layout.supervisor_lock)
    if lock is None:
        return ALREADY_RUNNING
    prepare(layout)
    listener = _bound_listener(layout.control_socket)
    _detach()
    rotating_log(LOG.name, layout.logs / "supervisor.log", "%(asctime)s %(levelname)s %(message)s")
    _logged(lambda: asyncio.run(_run(layout, listener, linger_seconds)))
    os.close(lock)
    return 0


async def _run(layout: Layout, listener: socket.socket, linger_seconds: float) -> None:
    try:
        await Supervisor(layout, listener, linger_seconds).run()
    finally:
        if layout.sockets != layout.run:
            shutil.rmtree(layout.sockets, ignore_errors=True)


def _logged(act: Callable[[], None]) -> None:
    try:
        act()
    except BaseException:
        LOG.exception("the supervisor ends by an error of its own")
        raise


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
