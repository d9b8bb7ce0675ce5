"""The engine runners of a node: child processes, warm while there is work, bounded in number, and watched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil

from clustercore.nodes.adapters.runner_process import OnReport, RunnerOrder, RunnerProcess
from clustercore.nodes.adapters.runner_slots import RunnerCall, RunnerSlots
from clustercore.nodes.adapters.runner_starter import RunnerStarter
from clustercore.nodes.adapters.runner_watchdog import RunnerWatchdog
from clustercore.nodes.adapters.warm_runners import BYTES_PER_MB, MemoryNeed
from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded
from clustercore.nodes.domain.wire import OUT_OF_MEMORY

LOAD_SECONDS = 600.0
IDLE_SECONDS = 300.0


class RunnerPool:
    """Implements `Runners`: at most `slots` runners busy, at most `slots + 1` alive, one request per runner.

    `plugins` maps an engine's name to its dotted path; `memory_need` gives the MB that
    `engine:model` takes (0: unknown). A runner without a request for `idle_seconds` is ended, which is no death: the
    next request starts another.
    """

    def __init__(
        self,
        plugins: Mapping[str, str],
        models_directory: Path,
        *,
        slots: int,
        threads: int,
        silent_seconds: float,
        load_seconds: float = LOAD_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        memory_need: MemoryNeed = lambda _engine, _model: 0,
    ) -> None:
        self._starter = RunnerStarter(
            plugins=dict(plugins),
            models_directory=models_directory,
            threads=threads,
            load_seconds=load_seconds,
            silent_seconds=silent_seconds,
        )
        self._slots = RunnerSlots(slots, memory_need)
        pause = min(1.0, silent_seconds / 4, load_seconds / 4, idle_seconds / 4)
        self._watchdog = RunnerWatchdog(self._slots, pause, idle_seconds)

    def call(self, engine: str, model: str, request: JsonObject, *, tag: str, on_report: OnReport) -> JsonObject:
        """As `Runners.call`. A model that fails to load is an EngineFailure too."""
        with self._slots.calling(tag) as call:
            runner = self._runner_for(call, engine, model)
            return self._serve(runner, request, on_report)

    def warm(self, engine: str, model: str, *, tag: str) -> Loaded:
        """Loads `engine:model` and keeps it warm; returns what loading gave. Raises as `call` does."""
        with self._slots.calling(tag) as call:
            runner = self._runner_for(call, engine, model)
            self._slots.give_back(runner, reusable=True)
            return runner.loaded or Loaded("unknown")

    def kill(self, tag: str, reason: str) -> None:
        """As `Runners.kill`; a call that still waits for a runner ends as well."""
        self._slots.kill(reason, tag)

    def kill_all(self, reason: str) -> None:
        """Ends every runner, idle ones too; running calls get RunnerDied(deliberate=True)."""
        self._slots.kill(reason)

    def close(self, reason: str = "the node stops") -> None:
        """Ends every runner and refuses further calls."""
        self._slots.close(reason)
        self._watchdog.end()

    @property
    def busy(self) -> int:
        """How many calls wait for a runner or are served by one."""
        return self._slots.calls

    def processes(self) -> list[int]:
        """Returns the process numbers of all living runners."""
        return [runner.process_id for runner in self._slots.living()]

    def resident_mb(self) -> dict[str, int]:
        """As `Runners.resident_mb`."""
        return {tag: _resident_mb(runner.process_id) for tag, runner in self._slots.working()}

    def _runner_for(self, call: RunnerCall, engine: str, model: str) -> RunnerProcess:
        order = self._starter.order(engine, model)
        runner = self._slots.take(call, order.key)
        return runner if runner is not None else self._start(call, order)

    def _start(self, call: RunnerCall, order: RunnerOrder) -> RunnerProcess:
        try:
            runner = self._starter.start(order)
        except BaseException:
            self._slots.free()
            raise
        try:
            self._slots.attach(call, runner)
            runner.load()
        except BaseException:
            self._slots.give_back(runner, reusable=False)
            raise
        return runner

    def _serve(self, runner: RunnerProcess, request: JsonObject, on_report: OnReport) -> JsonObject:
        reusable = False
        try:
            result = runner.call(request, on_report)
            reusable = True
            return result
        except EngineFailure as failure:
            reusable = failure.code != OUT_OF_MEMORY
            raise
        finally:
            self._slots.give_back(runner, reusable=reusable)


def _resident_mb(process_id: int) -> int:
    try:
        return max(1, psutil.Process(process_id).memory_info().rss // BYTES_PER_MB)
    except psutil.Error:
        return 0
