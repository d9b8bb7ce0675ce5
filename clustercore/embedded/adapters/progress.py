"""Waiting on a slow machine: for as long as something moves, and not by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psutil

_LOOK_SECONDS = 1.0
_STRIDE_SECONDS = 5
"""Of processor time. A hub and its node that idle spend 0.7 s a minute: the stride takes them seven minutes."""


class Patience:
    """Runs out when nothing has moved for `quiet_seconds`."""

    def __init__(self, quiet_seconds: float) -> None:
        self.quiet_seconds = quiet_seconds
        self.deadline = time.monotonic() + quiet_seconds
        self._marks: object = None
        self._look_at = 0.0

    def lasts(self, look: Callable[[], object] | None = None) -> bool:
        """Whether to wait on; `look` is called once a second, and what differs from before is progress."""
        if look is not None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            marks = look()
            if marks != self._marks:
                self._marks = marks
                self.moved()
        return time.monotonic() < self.deadline

    def moved(self) -> None:
        """Something was heard: the quiet begins anew."""
        self.deadline = time.monotonic() + self.quiet_seconds


def processor_seconds(process_id: int | None) -> int:
    """Whole seconds of processor time of a process and all below it; servers that idle come to none in a minute."""
    total = 0.0
    with suppress(psutil.Error):
        top = psutil.Process(process_id)
        times = top.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for process in top.children(recursive=True):
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return int(total)


def strides(process_id: int | None) -> int:
    """How often what starts there has spent as much processor time as idling does not within anybody's patience."""
    return processor_seconds(process_id) // _STRIDE_SECONDS
