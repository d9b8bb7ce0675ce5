"""Looks at the ledger each second: a job of which nothing runs must say why."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from django.db import DatabaseError, connection
from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.functions import Now

from clustercore.jobs.models import Job, Unit
from tests.faults.cluster import states_of
from tests.faults.waiting import AWAY

LOOK_SECONDS = 1.0
LEAST_ROOM_BYTES = 1 << 20
SILENT_SECONDS = 25.0
"""For so long a job may wait without a word: a lease, a sweep and what a busy machine adds."""


class Watcher:
    """A thread of its own; `silent` says which jobs waited for nothing that anybody named."""

    def __init__(self, tell: Callable[[str], None], hub_disk: Path) -> None:
        self._tell, self._hub_disk = tell, hub_disk
        self.silent: list[str] = []
        self.looks = 0
        self._since: dict[int, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            if shutil.disk_usage(self._hub_disk).free < LEAST_ROOM_BYTES:
                # A ledger without room answers, and can note no reason.
                self._since.clear()
                continue
            try:
                self._look()
            except (*AWAY, DatabaseError):
                # The reason lies in the ledger: while that does not answer nobody can be told.
                self._since.clear()
                connection.close()
        connection.close()

    def _look(self) -> None:
        now, found = time.monotonic(), list(silent_jobs())
        self.looks += 1
        self._since = {job.pk: self._since.get(job.pk, now) for job in found}
        for job in found:
            if now - self._since[job.pk] > SILENT_SECONDS:
                self.silent.append(f"job {job.pk}: {states_of(job)}")
                self._tell(f"silent: {self.silent[-1]}; served last: {turns()}")
                self._since[job.pk] = float("inf")


def silent_jobs() -> list[Job]:
    """Running jobs with a unit that is due and none that runs, no reason anywhere, and no older job at work."""
    units = Unit.objects.filter(job=OuterRef("pk"))
    due = units.filter(Q(run_after=None) | Q(run_after__lte=Now()), state="queued")
    running = Job.objects.filter(state="running", waiting="").filter(Exists(due))
    at_work = Unit.objects.filter(job__lte=OuterRef("pk"), job__state="running", state="leased")
    return list(running.exclude(Exists(at_work)).exclude(Exists(units.exclude(hold_reason=""))))


def turns() -> dict[int, str]:
    """When each running job was last served, and by what the ledger calls now."""
    served = Job.objects.filter(state="running").annotate(last=Max("units__leased_at"), now=Now())
    return {job.pk: str(job.last - job.now) if job.last else "never" for job in served}
