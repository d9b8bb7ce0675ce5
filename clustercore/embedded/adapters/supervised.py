"""A program as its supervisor keeps it: started, watched, started again with growing pauses, stopped cleanly.

Its states: starting, ready, restarting, idle (nobody asks for it), stopping, stopped, failed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress

from clustercore.embedded.adapters.logs import rotate, rotating_log
from clustercore.embedded.adapters.program import Program
from clustercore.embedded.adapters.program_process import LOG, ProgramProcess, start
from clustercore.embedded.domain.restarts import HEALTHY_SECONDS, is_hopeless, pause_before
from clustercore.embedded.domain.shortage import shortage_in, shortage_told

Tell = Callable[[str], None]
PROBE_SECONDS = 0.05
LOOK_SECONDS = 1.0
"""How often a log's length is looked at, and whether anybody asks for a program that runs on demand."""


class SupervisedProgram:
    """Keeps a program; `tell` hears what a person should know of it, `changed` is called when its state is another."""

    def __init__(self, program: Program, tell: Tell, changed: Callable[[], None] = lambda: None) -> None:
        self.program = program
        self.state = "starting"
        self.restarts = 0
        self.short = ""
        """What the machine lacks for it to run; empty while it runs or fails for other reasons."""
        self._tell, self._changed = tell, changed
        self._log = rotating_log(f"{LOG.name}.{program.log.stem}", program.log) if program.tells_of_shortage else None
        self._stop = asyncio.Event()
        self._process: ProgramProcess | None = None
        self._is_idle = program.demand is not None
        self._unstartable = ""

    @property
    def pid(self) -> int | None:
        """Its process's number while it runs."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keeps the program running until `stop`; returns when it stopped, or failed for good (state `failed`)."""
        with ExitStack() as stack:
            if self.program.demand is not None:
                self.program.demand.open()
                stack.callback(self.program.demand.close)
            self._enter(await self._keep())

    async def stop(self) -> None:
        """Stops it cleanly; harder after each signal's patience."""
        self._stop.set()
        if self._process is not None and self._process.is_running:
            self._enter("stopping")
            await self._process.end()

    def hurry(self) -> None:
        """Says once more that it is to end."""
        if self._process is not None:
            self._process.hurry()

    async def _keep(self) -> str:
        failures = 0
        while await self._is_asked_for():
            began = time.monotonic()
            code = await self._run_once()
            if self._stop.is_set():
                break
            if self._is_idle:
                failures = 0
                continue
            lived = time.monotonic() - began
            failures = 1 if self._was_ready or lived >= HEALTHY_SECONDS else failures + 1
            if self.program.gives_up and is_hopeless(failures) and not self.short:
                return "failed"
            pause = pause_before(failures, lived)
            if code is not None:
                self._tell_of_log(f"ended (exit code {code}); starting it again in {pause:.1f} s")
            self.restarts += 1
            self._enter("restarting")
            await self._rest(pause)
        return "stopped"

    async def _is_asked_for(self) -> bool:
        """Waits until somebody does, where it must; False when it is to stop."""
        demand = self.program.demand
        while demand is not None and not demand.is_made() and not self._stop.is_set():
            self._is_idle = True
            self._enter("idle")
            await self._rest(LOOK_SECONDS)
        if self._is_idle and not self._stop.is_set():
            self._is_idle = False
            self._tell_of_log("starts: somebody looks at it")
        return not self._stop.is_set()

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _run_once(self) -> int | None:
        """Starts it, waits until it ends; returns its exit code, None where it could not be started."""
        self._was_ready = False
        try:
            process = await start(self.program, self._hear)
        except OSError as error:
            self._cannot_start(error)
            return None
        self._process, self._unstartable = process, ""
        tasks = [asyncio.create_task(self._await_ready(process)), asyncio.create_task(self._look_after(process))]
        if self._stop.is_set():
            await self.stop()
        code = await process.wait()
        self._process = None
        for task in tasks:
            task.cancel()
        return code

    def _cannot_start(self, error: OSError) -> None:
        """A machine without descriptors, memory or disk is no reason to give up: it is told once, and tried again."""
        if str(error) != self._unstartable:
            self._unstartable = str(error)
            self._tell(f"{self.program.name} cannot be started: {error}")
        self._note_shortage(shortage_in(error))

    async def _await_ready(self, process: ProgramProcess) -> None:
        probe = self.program.probe
        while process.is_running and not self._stop.is_set():
            if probe is None or await probe():
                self._was_ready = probe is not None
                self._note_shortage("")
                return self._enter("ready")
            await asyncio.sleep(PROBE_SECONDS)
        return None

    async def _look_after(self, process: ProgramProcess) -> None:
        """Keeps the log short that it writes itself, and ends it when nobody asks for it any more."""
        demand = self.program.demand
        while process.is_running and self._log is None and not self._stop.is_set():
            await asyncio.sleep(LOOK_SECONDS)
            rotate(self.program.log)
            if demand is not None and not demand.is_made():
                self._is_idle = True
                self._tell_of_log(f"ends: nobody has looked at it for {demand.idle_seconds:g} s")
                return await process.end()
        return None

    def _hear(self, line: str) -> None:
        """While it does not take clients, what it says may tell why."""
        if self._log is not None:
            self._log.info(line)
        if self.state != "ready" and (short := shortage_told(line)):
            self._note_shortage(short)

    def _note_shortage(self, short: str) -> None:
        if short != self.short:
            self.short = short
            self._tell(f"{self.program.name} {f'waits, the machine has {short}' if short else 'has room again'}")
            self._changed()

    def _tell_of_log(self, text: str) -> None:
        self._tell(f"{self.program.name} {text}; its log: {self.program.log}")

    def _enter(self, state: str) -> None:
        if state != self.state:
            LOG.info("%s is %s", self.program.name, state)
            self.state = state
            self._changed()


async def stop_all(programs: Iterable[SupervisedProgram]) -> None:
    """Stops them at the same time, but for those that others need for what they finish: these go last."""
    for last in (False, True):
        await asyncio.gather(*(one.stop() for one in programs if one.program.is_needed_last is last))
