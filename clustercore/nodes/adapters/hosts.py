"""The engine hosts of a node: child processes, warm while there is work, bounded in number, and watched."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from clustercore.nodes.adapters.host_process import HostOrder, HostProcess, OnReport
from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded
from clustercore.nodes.domain.hooks import HostDied
from clustercore.nodes.domain.wire import OUT_OF_MEMORY

logger = logging.getLogger(__name__)

LOAD_SECONDS = 600.0
IDLE_SECONDS = 300.0
BYTES_PER_MB = 1024 * 1024

MemoryNeed = Callable[[str, str], int]


@dataclass(eq=False)
class _Call:
    """One request from the moment it is made; it may wait for a host, and may be killed while it waits."""

    tag: str
    killed: str = ""
    host: HostProcess | None = field(default=None)


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
        self._plugins = dict(plugins)
        self._models_directory = models_directory
        self._slots = slots
        self._threads = threads
        self._silent_seconds = silent_seconds
        self._load_seconds = load_seconds
        self._idle_seconds = idle_seconds
        self._memory_need = memory_need
        self._changed = threading.Condition()
        self._calls: list[_Call] = []
        self._idle: list[HostProcess] = []
        self._busy = 0
        self._closed = ""
        # Linux kills a host when the thread that started it ends, so one thread starts them all and never ends.
        self._spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine host spawner")
        self._stopped = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="engine host watchdog", daemon=True)
        self._watchdog.start()

    def call(self, engine: str, model: str, request: JsonObject, *, tag: str, on_report: OnReport) -> JsonObject:
        """As `Hosts.call`. A model that fails to load is an EngineFailure too."""
        call = _Call(tag)
        with self._changed:
            self._calls.append(call)
        try:
            host = self._host_for(call, engine, model)
            return self._serve(host, request, on_report)
        finally:
            with self._changed:
                self._calls.remove(call)

    def warm(self, engine: str, model: str, *, tag: str) -> Loaded:
        """Loads `engine:model` and keeps it warm; what loading gave. Raises as `call` does."""
        call = _Call(tag)
        with self._changed:
            self._calls.append(call)
        try:
            host = self._host_for(call, engine, model)
            self._release(host, reusable=True)
            return host.loaded or Loaded("unknown")
        finally:
            with self._changed:
                self._calls.remove(call)

    def kill(self, tag: str, reason: str) -> None:
        """As `Hosts.kill`; a call that still waits for a host ends as well."""
        with self._changed:
            for call in [call for call in self._calls if call.tag == tag]:
                self._kill_call(call, reason)
            self._changed.notify_all()

    def kill_all(self, reason: str) -> None:
        """Ends every host, idle ones too; running calls get HostDied(deliberate=True)."""
        with self._changed:
            for call in self._calls:
                self._kill_call(call, reason)
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for host in idle:
            host.close()

    def close(self, reason: str = "the node stops") -> None:
        """Ends every host and refuses further calls."""
        with self._changed:
            self._closed = reason
        self.kill_all(reason)
        self._stopped.set()

    @property
    def busy(self) -> int:
        """Calls that wait for a host or are served by one."""
        with self._changed:
            return len(self._calls)

    def processes(self) -> list[int]:
        """The process numbers of all living hosts."""
        with self._changed:
            hosts = [*self._idle, *(call.host for call in self._calls if call.host)]
            return [host.process_id for host in hosts if host.alive]

    def resident_mb(self) -> dict[str, int]:
        """As `Hosts.resident_mb`."""
        with self._changed:
            working = {call.tag: call.host.process_id for call in self._calls if call.host}
        return {tag: _resident_mb(process_id) for tag, process_id in working.items()}

    def _kill_call(self, call: _Call, reason: str) -> None:
        call.killed = call.killed or reason
        if call.host is not None:
            call.host.kill(reason, deliberate=True)

    def _host_for(self, call: _Call, engine: str, model: str) -> HostProcess:
        order = self._order(engine, model)
        surplus: list[HostProcess] = []
        with self._changed:
            self._changed.wait_for(lambda: self._refusal(call) or self._busy < self._slots)
            self._raise_refusal(call)
            self._busy += 1
            host = self._take_idle(order.key, surplus)
            call.host = host
        for old in surplus:
            old.close()
        if host is not None:
            return host
        return self._start(call, order)

    def _order(self, engine: str, model: str) -> HostOrder:
        try:
            plugin = self._plugins[engine]
        except KeyError:
            known = ", ".join(sorted(self._plugins)) or "none"
            raise EngineFailure("no_engine", f"This node has no engine {engine!r}; it has: {known}.") from None
        return HostOrder(engine, model, plugin, self._models_directory, self._threads)

    def _refusal(self, call: _Call) -> str:
        return self._closed or call.killed

    def _raise_refusal(self, call: _Call) -> None:
        if reason := self._refusal(call):
            raise HostDied(reason, deliberate=True)

    def _take_idle(self, key: tuple[str, str], surplus: list[HostProcess]) -> HostProcess | None:
        """An idle host of `key`; otherwise puts into `surplus` whatever must end to make room for a new one."""
        surplus.extend(host for host in self._idle if not host.alive)
        self._idle = [host for host in self._idle if host.alive]
        for host in self._idle:
            if host.order.key == key:
                self._idle.remove(host)
                return host
        self._idle.sort(key=lambda host: host.last_used)
        room = self._slots + 1 - self._busy
        excess = max(0, len(self._idle) - room)
        surplus.extend(self._idle[:excess])
        self._idle = self._idle[excess:]
        if self._idle and not self._memory_suffices(key):
            surplus.extend(self._idle)
            self._idle = []
        return None

    def _memory_suffices(self, key: tuple[str, str]) -> bool:
        need = self._memory_need(*key) * BYTES_PER_MB
        return need == 0 or psutil.virtual_memory().available > need

    def _start(self, call: _Call, order: HostOrder) -> HostProcess:
        host: HostProcess | None = None
        try:
            host = self._spawner.submit(HostProcess, order, self._load_seconds, self._silent_seconds).result()
            with self._changed:
                call.host = host
                if reason := self._refusal(call):
                    host.kill(reason, deliberate=True)
            host.load()
        except BaseException:
            self._release(host, reusable=False)
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
            self._release(host, reusable=reusable)

    def _release(self, host: HostProcess | None, *, reusable: bool) -> None:
        keep = host is not None and reusable and host.alive
        with self._changed:
            for call in self._calls:
                if call.host is host:
                    call.host = None
            if host is not None and keep and not self._closed:
                host.last_used = time.monotonic()
                self._idle.append(host)
            else:
                keep = False
        if host is not None and not keep:
            host.close()
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def _watch(self) -> None:
        pause = min(1.0, self._silent_seconds / 4, self._load_seconds / 4, self._idle_seconds / 4)
        while not self._stopped.wait(pause):
            now = time.monotonic()
            with self._changed:
                hosts = [call.host for call in self._calls if call.host]
            for host in hosts:
                host.kill_if_silent(now)
            self._unload_unused(now)

    def _unload_unused(self, now: float) -> None:
        """Ends the hosts that nobody has used for long: once out of the idle ones, no request can be given to them."""
        with self._changed:
            unused = [host for host in self._idle if now - host.last_used >= self._idle_seconds]
            self._idle = [host for host in self._idle if host not in unused]
        for host in unused:
            logger.info("%s:%s is unloaded: no request for %g s", *host.order.key, self._idle_seconds)
            host.close()


def _resident_mb(process_id: int) -> int:
    try:
        return max(1, psutil.Process(process_id).memory_info().rss // BYTES_PER_MB)
    except psutil.Error:
        return 0
