"""The engine hosts of a node: child processes, warm while there is work, bounded in number, and watched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil

from clustercore.nodes.adapters.host_process import HostOrder, HostProcess, OnReport
from clustercore.nodes.adapters.runner_slots import RunnerCall, RunnerSlots
from clustercore.nodes.adapters.runner_starter import RunnerStarter
from clustercore.nodes.adapters.runner_watchdog import RunnerWatchdog
from clustercore.nodes.adapters.warm_runners import BYTES_PER_MB, MemoryNeed
from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded
from clustercore.nodes.domain.wire import OUT_OF_MEMORY

LOAD_SECONDS = 600.0
IDLE_SECONDS = 300.0


class HostPool:
    """Implements `Hosts`: at most `slots` hosts busy, at most `slots + 1` alive, one request per host.

    `plugins` maps an engine's name to its dotted path; `memory_need` gives the MB that
    `engine:model` takes (0: unknown). A host without a request for `idle_seconds` is ended, which is no death: the
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
        """As `Hosts.call`. A model that fails to load is an EngineFailure too."""
        with self._slots.calling(tag) as call:
            host = self._host_for(call, engine, model)
            return self._serve(host, request, on_report)

    def warm(self, engine: str, model: str, *, tag: str) -> Loaded:
        """Loads `engine:model` and keeps it warm; returns what loading gave. Raises as `call` does."""
        with self._slots.calling(tag) as call:
            host = self._host_for(call, engine, model)
            self._slots.give_back(host, reusable=True)
            return host.loaded or Loaded("unknown")

    def kill(self, tag: str, reason: str) -> None:
        """As `Hosts.kill`; a call that still waits for a host ends as well."""
        self._slots.kill(reason, tag)

    def kill_all(self, reason: str) -> None:
        """Ends every host, idle ones too; running calls get HostDied(deliberate=True)."""
        self._slots.kill(reason)

    def close(self, reason: str = "the node stops") -> None:
        """Ends every host and refuses further calls."""
        self._slots.close(reason)
        self._watchdog.end()

    @property
    def busy(self) -> int:
        """How many calls wait for a host or are served by one."""
        return self._slots.calls

    def processes(self) -> list[int]:
        """Returns the process numbers of all living hosts."""
        return [host.process_id for host in self._slots.living()]

    def resident_mb(self) -> dict[str, int]:
        """As `Hosts.resident_mb`."""
        return {tag: _resident_mb(host.process_id) for tag, host in self._slots.working()}

    def _host_for(self, call: RunnerCall, engine: str, model: str) -> HostProcess:
        order = self._starter.order(engine, model)
        host = self._slots.take(call, order.key)
        return host if host is not None else self._start(call, order)

    def _start(self, call: RunnerCall, order: HostOrder) -> HostProcess:
        try:
            host = self._starter.start(order)
        except BaseException:
            self._slots.free()
            raise
        try:
            self._slots.attach(call, host)
            host.load()
        except BaseException:
            self._slots.give_back(host, reusable=False)
            raise
        return host

    def _serve(self, host: HostProcess, request: JsonObject, on_report: OnReport) -> JsonObject:
        reusable = False
        try:
            result = host.call(request, on_report)
            reusable = True
            return result
        except EngineFailure as failure:
            reusable = failure.code != OUT_OF_MEMORY
            raise
        finally:
            self._slots.give_back(host, reusable=reusable)


def _resident_mb(process_id: int) -> int:
    try:
        return max(1, psutil.Process(process_id).memory_info().rss // BYTES_PER_MB)
    except psutil.Error:
        return 0
