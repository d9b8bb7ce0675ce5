"""One server as a foreground child: started, watched, restarted with growing pauses, stopped cleanly."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clustercore.embedded.adapters.processes import CHILD_ENVIRONMENT, end_leftovers, tied_to_parent
from clustercore.embedded.domain.accounts import Account
from clustercore.embedded.domain.restarts import is_hopeless, pause_before
from clustercore.embedded.domain.shortage import shortage_in, shortage_told

LOG = logging.getLogger("clustercore.embedded")
PROBE_SECONDS = 0.05
LONGEST_LINE = 1_000_000
"""Bytes; what a server says without a line end beyond that is dropped."""


@dataclass(frozen=True, slots=True)
class Program:
    """What the supervisor must know of a server.

    `before_start` may write files and returns the command and its standard input. `probe` answers whether the
    server takes clients' work. `stop_signals` are sent in turn, each with its patience in seconds.
    """

    name: str
    directory: Path
    process_names: frozenset[str]
    stop_signals: tuple[tuple[signal.Signals, float], ...]
    before_start: Callable[[], tuple[list[str], bytes]]
    probe: Callable[[], Awaitable[bool]]


@dataclass
class Server:
    """A program's life. `changed` is called whenever `state` is another one."""

    program: Program
    account: Account | None
    log: logging.Logger
    changed: Callable[[], None]
    state: str = "starting"
    restarts: int = 0
    pid: int | None = None
    short: str = ""
    """What the machine lacks for it to run; empty while it runs or fails for other reasons."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.subprocess.Process | None = None
    _reached: bool = False

    async def run(self) -> None:
        """Keep the server running until `stop`; returns when it stopped, or failed for good (state `failed`)."""
        failures = 0
        while not self._stop.is_set():
            started = asyncio.get_running_loop().time()
            await self._run_once()
            if self._stop.is_set():
                break
            lived = asyncio.get_running_loop().time() - started
            failures = 1 if self._reached else failures + 1
            if is_hopeless(failures) and not self.short:
                return self._enter("failed")
            self.restarts += 1
            self._enter("restarting")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_before(failures, lived))
        return self._enter("stopped")

    async def stop(self) -> None:
        """Stop cleanly; harder after each signal's patience."""
        self._stop.set()
        for number, patience in self.program.stop_signals:
            process = self._process
            if process is None or process.returncode is not None:
                return
            self._enter("stopping")
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(process.wait()), patience)

    async def _run_once(self) -> None:
        """Start, wait until it answers, wait until it ends."""
        self._reached = False
        try:
            process = await self._start()
        except OSError as error:
            LOG.error("%s cannot start: %s", self.program.name, error)
            self._note_shortage(shortage_in(error))
            return
        copier = asyncio.create_task(self._copy_output(process))
        prober = asyncio.create_task(self._await_answer(process))
        if self._stop.is_set():
            await self.stop()
        code = await process.wait()
        prober.cancel()
        self.pid = None
        with suppress(TimeoutError):
            await asyncio.wait_for(copier, 0.5)
        LOG.log(logging.INFO if self._stop.is_set() else logging.ERROR, "%s ended with %s", self.program.name, code)

    async def _start(self) -> asyncio.subprocess.Process:
        program = self.program
        ended = await end_leftovers(program.directory, program.process_names, program.stop_signals[0][0])
        if ended:
            LOG.warning("ended %d processes of an earlier %s", ended, program.name)
        command, text = program.before_start()
        identity = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []} if self.account else {}
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=CHILD_ENVIRONMENT,
            cwd=program.directory,
            preexec_fn=tied_to_parent(program.stop_signals[0][0]),
            **identity,  # type: ignore[arg-type]
        )
        self._process, self.pid = process, process.pid
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()
        return process

    async def _await_answer(self, process: asyncio.subprocess.Process) -> None:
        while process.returncode is None and not self._stop.is_set():
            if await self.program.probe():
                self._reached = True
                self._note_shortage("")
                return self._enter("ready")
            await asyncio.sleep(PROBE_SECONDS)
        return None

    async def _copy_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        unfinished = b""
        while chunk := await process.stdout.read(65536):
            *lines, unfinished = (unfinished + chunk).split(b"\n")
            for line in lines:
                self._take_line(line.decode("utf-8", "replace"))
            if len(unfinished) > LONGEST_LINE:
                unfinished = b""

    def _take_line(self, line: str) -> None:
        """While it does not take clients, what it says may tell why."""
        self.log.info(line)
        if self.state != "ready" and (short := shortage_told(line)):
            self._note_shortage(short)

    def _note_shortage(self, short: str) -> None:
        if short != self.short:
            self.short = short
            LOG.warning("%s: %s", self.program.name, f"waits, the machine has {short}" if short else "has room again")
            self.changed()

    def _enter(self, state: str) -> None:
        if state != self.state:
            LOG.info("%s is %s", self.program.name, state)
            self.state = state
            self.changed()
