"""Which request has which engine runner, and which waits for one: all that threads share of a node's runners."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clustercore.nodes.adapters.runner_process import RunnerProcess
from clustercore.nodes.adapters.warm_runners import MemoryNeed, WarmRunners
from clustercore.nodes.domain.hooks import RunnerDied


@dataclass(eq=False)
class RunnerCall:
    """One request from the moment it is made; it may wait for a runner, and may be killed while it waits."""

    tag: str
    killed: str = ""
    runner: RunnerProcess | None = None


class RunnerSlots:
    """At most `slots` runners busy, at most `slots + 1` alive. Safe to use from any thread.

    One lock guards all of it. Slots wait on it for their turn, and whoever frees one, kills a call or closes wakes
    those. No process is started, asked or waited for under it; one may be killed, which only signals.
    """

    def __init__(self, slots: int, memory_need: MemoryNeed) -> None:
        self._slots = slots
        self._changed = threading.Condition()
        self._calls: list[RunnerCall] = []
        self._warm = WarmRunners(memory_need)
        self._busy = 0
        self._closed = ""

    @contextmanager
    def calling(self, tag: str) -> Iterator[RunnerCall]:
        """Around one request: while it waits or is served it can be killed by its tag."""
        call = RunnerCall(tag)
        with self._changed:
            self._calls.append(call)
        try:
            yield call
        finally:
            with self._changed:
                self._calls.remove(call)

    def take(self, call: RunnerCall, key: tuple[str, str]) -> RunnerProcess | None:
        """Waits for a free slot and gives it to the call, with a warm runner of engine and model; None where none is.

        Raises RunnerDied where the call is killed meanwhile. Who gets the slot gives it back: `give_back` or `free`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._refusal(call) or self._busy < self._slots)
            if reason := self._refusal(call):
                raise RunnerDied(reason, deliberate=True)
            self._busy += 1
            call.runner, surplus = self._warm.take(key, room=self._slots + 1 - self._busy)
        for old in surplus:
            old.close()
        return call.runner

    def attach(self, call: RunnerCall, runner: RunnerProcess) -> None:
        """Gives a call the runner that was started for it; where the call was killed meanwhile, it is killed too."""
        with self._changed:
            call.runner = runner
            if reason := self._refusal(call):
                runner.kill(reason, deliberate=True)

    def give_back(self, runner: RunnerProcess, *, reusable: bool) -> None:
        """Keeps a runner warm or ends it; the slot is free once it has ended, so that the next finds its memory."""
        with self._changed:
            is_kept = reusable and runner.alive and not self._closed
            for call in self._calls:
                if call.runner is runner:
                    call.runner = None
            if is_kept:
                self._warm.add(runner)
        if not is_kept:
            runner.close()
        self.free()

    def free(self) -> None:
        """Gives back a slot for which no runner could be started."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def kill(self, reason: str, tag: str | None = None) -> None:
        """Ends the calls of a tag; without one all calls, and the runners that are warm."""
        with self._changed:
            for call in self._calls:
                if tag in (None, call.tag):
                    call.killed = call.killed or reason
                    if call.runner is not None:
                        call.runner.kill(reason, deliberate=True)
            idle = self._warm.take_all() if tag is None else []
            self._changed.notify_all()
        for runner in idle:
            runner.close()

    def close(self, reason: str) -> None:
        """Ends everything and refuses further calls."""
        with self._changed:
            self._closed = reason
        self.kill(reason)

    @property
    def calls(self) -> int:
        """How many calls wait for a runner or have one."""
        with self._changed:
            return len(self._calls)

    def working(self) -> list[tuple[str, RunnerProcess]]:
        """Returns the tags of the calls that have a runner, each with it."""
        with self._changed:
            return [(call.tag, call.runner) for call in self._calls if call.runner]

    def living(self) -> list[RunnerProcess]:
        """Returns all runners, warm ones too, whose process lives."""
        with self._changed:
            runners = [*self._warm.processes(), *(call.runner for call in self._calls if call.runner)]
            return [runner for runner in runners if runner.alive]

    def take_unused(self, seconds: float, now: float) -> list[RunnerProcess]:
        """Takes out the runners that have been warm for so long: no request can be given to them any more."""
        with self._changed:
            return self._warm.take_unused(seconds, now)

    def _refusal(self, call: RunnerCall) -> str:
        return self._closed or call.killed
