"""Work for the cluster: jobs of several recordings, always some open, and the removal of those that share one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import cycle

from django.db import DatabaseError, connection

from clustercore.blobs.domain.errors import BlobError
from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import remove_job
from tests.faults.recording import PIECE_SECONDS, Recording
from tests.faults.soak.verdict import Looked, look
from tests.faults.waiting import AWAY
from transcription.services.submit import Wishes, submit_transcription

OPEN_JOBS = 3
PAUSE_SECONDS = 0.5
REFUSED = (*AWAY, DatabaseError, OSError, BlobError)
"""What a submission may end with while a server is away or the disk is full: it is sent again."""


class Load:
    """A thread of its own. What was accepted is what the ledger gave a number."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.accepted: dict[int, Recording] = {}
        self.removed: list[Looked] = []
        self.refused = 0
        self._recordings = cycle(recordings)
        self._numbers = iter(range(1, 1_000_000))
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-load", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No further jobs."""
        self._stopping.set()
        self._thread.join(60)

    def submit(self, recording: Recording, piece_seconds: float = PIECE_SECONDS) -> Job:
        """Asks, with one key, until the answer comes: what was accepted without an answer is found again by it."""
        with self._lock:
            key = f"soak-{next(self._numbers)}"
        wishes = Wishes(language="en", piece_seconds=piece_seconds, idempotency_key=key)
        while True:
            try:
                job, _ = submit_transcription(None, recording.path, recording.path.name, wishes)
            except REFUSED:
                self._refuse()
                continue
            with self._lock:
                self.accepted[job.pk] = recording
            return job

    def remove(self, job: Job) -> None:
        """Removes a job that has ended, once it has been looked at."""
        looked = look(Job.objects.get(pk=job.pk))
        remove_job(job.pk)
        self.removed.append(looked)

    def open_jobs(self) -> int:
        """How many accepted jobs have not ended."""
        return Job.objects.filter(pk__in=list(self.accepted)).exclude(state__in=FINAL_JOB_STATES).count()

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            try:
                wanted = self.open_jobs() < OPEN_JOBS
            except REFUSED:
                connection.close()
                continue
            if wanted:
                self.submit(next(self._recordings))
        connection.close()

    def _refuse(self) -> None:
        self.refused += 1
        connection.close()
        threading.Event().wait(PAUSE_SECONDS)
