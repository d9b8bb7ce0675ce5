"""The thread that ends engine runners which hang, and those that nobody has used for long."""

from __future__ import annotations

import logging
import threading
import time

from clustercore.nodes.adapters.runner_slots import RunnerSlots

logger = logging.getLogger(__name__)


class RunnerWatchdog:
    """Looks now and then until it is ended. Kills outside of the slots' lock: the caller finds out by itself."""

    def __init__(self, slots: RunnerSlots, pause_seconds: float, idle_seconds: float) -> None:
        self._slots = slots
        self._pause_seconds = pause_seconds
        self._idle_seconds = idle_seconds
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="engine runner watchdog", daemon=True).start()

    def end(self) -> None:
        """Ends the looking; a look that has begun may go on for a moment."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(self._pause_seconds):
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        for _, runner in self._slots.working():
            runner.kill_if_silent(now)
        for runner in self._slots.take_unused(self._idle_seconds, now):
            logger.info("%s:%s is unloaded: no request for %g s", *runner.order.key, self._idle_seconds)
            runner.close()
