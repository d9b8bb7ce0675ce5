"""The engine runners that wait for their next request, and which of them must end to make room for another one."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from clustercore.nodes.adapters.runner_process import RunnerProcess

BYTES_PER_MB = 1024 * 1024

MemoryNeed = Callable[[str, str], int]
"""Returns the MB that `engine:model` takes; 0 is unknown."""


class WarmRunners:
    """Runners without a request. Whoever takes one out has it alone.

    Not safe by itself: the pool holds its lock around each call, and ends what it is given outside of that.
    """

    def __init__(self, memory_need: MemoryNeed) -> None:
        self._memory_need = memory_need
        self._runners: list[RunnerProcess] = []

    def processes(self) -> list[RunnerProcess]:
        """Returns all that wait."""
        return list(self._runners)

    def add(self, runner: RunnerProcess) -> None:
        """Keeps a runner for the next request."""
        runner.last_used = time.monotonic()
        self._runners.append(runner)

    def take(self, key: tuple[str, str], room: int) -> tuple[RunnerProcess | None, list[RunnerProcess]]:
        """Returns a runner of engine and model, and those that must end.

        Where there is none one will be started: of the others at most `room` stay, those that were used last, and none
        where memory would not suffice.
        """
        surplus = self._remove(lambda runner: not runner.alive)
        for runner in self._runners:
            if runner.order.key == key:
                self._runners.remove(runner)
                return runner, surplus
        self._runners.sort(key=lambda runner: runner.last_used)
        excess = max(0, len(self._runners) - room)
        surplus += self._runners[:excess]
        self._runners = self._runners[excess:]
        if self._runners and not self._memory_suffices(key):
            surplus += self.take_all()
        return None, surplus

    def take_all(self) -> list[RunnerProcess]:
        """Returns all, which are no longer kept."""
        return self._remove(lambda _: True)

    def take_unused(self, seconds: float, now: float) -> list[RunnerProcess]:
        """Returns those that nobody has used for so long; no request can be given to them any more."""
        return self._remove(lambda runner: now - runner.last_used >= seconds)

    def _remove(self, is_to_go: Callable[[RunnerProcess], bool]) -> list[RunnerProcess]:
        gone = [runner for runner in self._runners if is_to_go(runner)]
        self._runners = [runner for runner in self._runners if runner not in gone]
        return gone

    def _memory_suffices(self, key: tuple[str, str]) -> bool:
        need = self._memory_need(*key) * BYTES_PER_MB
        return need == 0 or psutil.virtual_memory().available > need
