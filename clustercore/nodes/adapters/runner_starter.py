"""Starting engine runners: which plug-in and model, with what; all in one thread that lives as long as the worker."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from clustercore.nodes.adapters.runner_process import RunnerOrder, RunnerProcess
from clustercore.nodes.domain.engine import EngineFailure


def _one_thread() -> ThreadPoolExecutor:
    # Linux kills a child when the thread that started it ends, so one thread starts them all and never ends.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine runner spawner")


@dataclass(frozen=True, kw_only=True)
class RunnerStarter:
    """Safe to use from any thread."""

    plugins: Mapping[str, str]
    """From an engine's name to its dotted path."""
    models_directory: Path
    threads: int
    """How many the native libraries of one engine may start."""
    load_seconds: float
    silent_seconds: float
    _spawner: ThreadPoolExecutor = field(default_factory=_one_thread)

    def order(self, engine: str, model: str) -> RunnerOrder:
        """Returns what a runner of `engine:model` is told. Raises EngineFailure where there is no such engine."""
        try:
            plugin = self.plugins[engine]
        except KeyError:
            known = ", ".join(sorted(self.plugins)) or "none"
            raise EngineFailure("no_engine", f"This node has no engine {engine!r}; it has: {known}.") from None
        return RunnerOrder(engine, model, plugin, self.models_directory, self.threads)

    def start(self, order: RunnerOrder) -> RunnerProcess:
        """Starts a process, which has loaded nothing yet; waits for that alone."""
        return self._spawner.submit(RunnerProcess, order, self.load_seconds, self.silent_seconds).result()
