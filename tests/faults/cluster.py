"""A cluster that a test may break: real servers, real workers with names from the cast, puppets for engines."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil
from django.db.models import QuerySet

from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.models import Counter as LedgerCounter
from clustercore.jobs.services.control import cancel_job
from clustercore.nodes.models import Node
from tests.faults.checker import JobSeen, Judgement, UnitSeen, judge
from tests.faults.puppet import Execution, executions
from tests.faults.recording import PIECE_SECONDS, Recording
from tests.faults.waiting import until
from tests.faults.workers import Worker
from tests.leftovers import KEPT
from transcription.models import Segment, Transcript
from transcription.services.submit import Wishes, submit_transcription

HEARTBEAT_SECONDS, LEASE_SECONDS, GRACE_SECONDS = 2.0, 8.0, 3.0
SILENT_SECONDS = 4.0
RESUMED_SECONDS = 12.0
"""Within so long another node must hold what a crash interrupted."""

WORKER_SETTINGS = {
    "CLUSTERCORE_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
    "CLUSTERCORE_LEASE_SECONDS": str(LEASE_SECONDS),
    "CLUSTERCORE_GRACE_SECONDS": str(GRACE_SECONDS),
    "CLUSTERCORE_SILENT_RUNNER_SECONDS": str(SILENT_SECONDS),
    "CLUSTERCORE_SLOTS": "1",
    "CLUSTERCORE_ENGINES": json.dumps(["transcription.adapters.media:MediaCutter", "tests.faults.puppet:Puppet"]),
    "CLUSTERCORE_TIERS": json.dumps({"stt": ["oracle:*"]}),
}


@dataclass
class Cluster:
    """The servers' environment, the workers on them, and the strings of the puppets."""

    data_directory: Path
    directory: Path
    environment: Mapping[str, str]
    workers: dict[str, Worker] = field(default_factory=dict)
    undisturbed: dict[Path, str] = field(default_factory=dict)
    far_urls: tuple[str, str] = ("", "")
    left_over: set[str] = field(default_factory=set)
    """Nodes that earlier tests asked for, and this one has not."""
    last_test: str = "none"

    def begin(self) -> None:
        """Before a test: says what every test assumes, and names the one that did not keep to it."""
        self.loosen()
        foreign = sorted(node.name for node in Node.objects.filter(online=True) if not self._runs(node))
        opened = sorted(Job.objects.exclude(state__in=FINAL_JOB_STATES).values_list("pk", flat=True))
        assert not foreign, f"nodes that nobody here started are online: {foreign}; the test before: {self.last_test}"
        assert not opened, f"jobs that are not this test's are open: {opened}; the test before: {self.last_test}"
        self.left_over = set(self.workers)

    def end(self, test: str) -> None:
        """After a test: what it started and left open is ended; nodes with nothing in hand may serve the next one."""
        self.last_test = test
        self.loosen()
        opened = list(Job.objects.exclude(state__in=FINAL_JOB_STATES))
        for job in opened:
            cancel_job(job.pk)
        self.stop(*(name for name, worker in self.workers.items() if opened or not worker.well))
        for node in Node.objects.filter(online=True):
            if not self._runs(node):
                Node.objects.filter(pk=node.pk).update(online=False)

    def _runs(self, node: Node) -> bool:
        worker = self.workers.get(node.name)
        return worker is not None and worker.running and worker.process.pid == node.process_id

    @property
    def strings(self) -> Path:
        """Where the puppets look, and leave their trace."""
        path = self.directory / "strings"
        path.mkdir(exist_ok=True)
        return path

    def pull(self, **strings: str) -> None:
        """Writes strings; a dot in a name is written as two underscores, an empty text removes the file."""
        for name, text in strings.items():
            path = self.strings / name.replace("__", ".")
            path.write_text(text) if text else path.unlink(missing_ok=True)

    def loosen(self) -> None:
        """No strings and no trace."""
        shutil.rmtree(self.strings, ignore_errors=True)
        (self.directory / "strings").mkdir(exist_ok=True)

    def worker_environment(self, name: str, settings: Mapping[str, str]) -> dict[str, str]:
        """What a node of this name starts with."""
        own = {"CLUSTERCORE_NODE_NAME": name, "PUPPET_DIRECTORY": str(self.strings)}
        return {**self.environment, **WORKER_SETTINGS, **own, **settings}

    def start(self, *names: str, prefix: Sequence[str] = (), **settings: str) -> list[Worker]:
        """Starts these nodes beside each other, unless they run just so, and returns when all take work.

        What earlier tests left at work and this one has not asked for is ended.
        """
        self.stop(*(self.left_over - set(names)))
        self.left_over = set()
        for name in names:
            environment = self.worker_environment(name, settings)
            running = self.workers.get(name)
            if running is None or not running.is_started_with(environment, prefix):
                self.stop(name)
                self.workers[name] = Worker(name, environment, self.directory / f"{name}.log", prefix)
                KEPT.add(self.workers[name].process.pid)
        return [self.workers[name].until_taking_work() for name in names]

    def stop(self, *names: str) -> None:
        """Kills these nodes."""
        for name in names:
            worker = self.workers.pop(name, None)
            if worker is not None:
                worker.close()

    def submit(self, recording: Recording, **wishes: object) -> Job:
        """A transcription in the shortest pieces, in English so that nothing waits for a language."""
        wanted = Wishes(**{"language": "en", "piece_seconds": PIECE_SECONDS, **wishes})  # type: ignore[arg-type]
        job, _ = submit_transcription(None, recording.path, recording.path.name, wanted)
        return job

    def until_ended(self, job: Job, seconds: float = 60.0) -> str:
        """The state in which the job ended."""

        def ended() -> bool:
            job.refresh_from_db()
            return job.state in FINAL_JOB_STATES

        until(ended, seconds, lambda: f"job {job.pk} is not done: {states_of(job)}")
        return job.state

    def until_done(self, job: Job, seconds: float = 60.0) -> None:
        """Waits for its end, which must be a good one: all of it is heard."""
        assert (self.until_ended(job, seconds), job.gaps) == ("done", 0), job.error or states_of(job)

    def until_in_hand(self, job: Job, name: str, seconds: float = 30.0) -> Attempt:
        """A live attempt of this node at a piece that its engine has begun."""

        def found() -> Attempt | None:
            for attempt in live_attempts(job, name):
                if self._begun_in(attempt):
                    return attempt
            return None

        return until(found, seconds, f"{name} has no piece of job {job.pk} in hand")

    def executing(self, attempt: Attempt) -> psutil.Process:
        """The engine runner that works on it."""
        return psutil.Process(self._begun_in(attempt)[-1].process)

    def has_finished(self, attempt: Attempt) -> bool:
        """Whether its engine came to the end of it, whatever became of the result."""
        return any(execution.what == "finished" for execution in self._executions_in(attempt))

    def _begun_in(self, attempt: Attempt) -> list[Execution]:
        return [execution for execution in self._executions_in(attempt) if execution.what == "begun"]

    def _executions_in(self, attempt: Attempt) -> list[Execution]:
        blob, started = attempt.unit.payload["blob"], attempt.started.timestamp()
        return [
            execution
            for execution in executions(self.strings)
            if (execution.piece, execution.node) == (blob, attempt.node_name) and execution.at >= started
        ]

    def sha_undisturbed(self, recording: Recording) -> str:
        """Of the transcript of a run in which nothing was broken; done once for each recording."""
        if recording.path not in self.undisturbed:
            job = self.submit(recording)
            self.until_done(job)
            assert heard_words(job) == recording.words
            self.undisturbed[recording.path] = Transcript.objects.get(recording__job=job).sha256
        return self.undisturbed[recording.path]

    def judge(
        self, jobs: Mapping[int, Recording], since: float, faults_at: Sequence[float] = (), attempted: int | None = None
    ) -> Judgement:
        """The checker's view of these jobs; executions count from `since`, seconds since 1970 as in the trace.

        With `faults_at` recovery is measured from the latest fault before each new lease, else from the loss.
        """
        begun = Counter(
            execution.piece
            for execution in executions(self.strings)
            if execution.what == "begun" and execution.at >= since
        )
        return judge(
            attempted=len(jobs) if attempted is None else attempted,
            jobs=[self._job_seen(job_id, recording) for job_id, recording in jobs.items()],
            units=units_seen(jobs),
            begun=begun,
            recoveries=recoveries(jobs, faults_at),
        )

    def _job_seen(self, job_id: int, recording: Recording) -> JobSeen:
        job = Job.objects.get(pk=job_id)
        sha = Transcript.objects.filter(recording__job=job).values_list("sha256", flat=True).first() or ""
        undisturbed = self.sha_undisturbed(recording) if job.state == "done" else ""
        return JobSeen(job_id, job.state, heard_words(job), recording.words, sha, undisturbed)


def pieces_of(job: Job) -> QuerySet[Unit]:
    """The units that transcribe."""
    return Unit.objects.filter(job=job, stage="transcribe").order_by("ordinal")


def attempts_at(unit: Unit) -> list[Attempt]:
    """In order."""
    return list(Attempt.objects.filter(unit=unit).order_by("number"))


def tried_again(job: Job) -> list[tuple[str, str, str, str]]:
    """Unit, node, outcome and reason of all attempts at the units that took more than one."""
    attempts = Attempt.objects.filter(unit__job=job, unit__attempts_made__gt=1).order_by("unit", "number")
    return [(str(one.unit), one.node_name, one.outcome, one.reason) for one in attempts.select_related("unit")]


def live_attempts(job: Job, name: str) -> list[Attempt]:
    """Pieces of the job that a node holds."""
    return list(
        Attempt.objects.filter(unit__job=job, unit__stage="transcribe", node_name=name, outcome="live").select_related(
            "unit"
        )
    )


def states_of(job: Job) -> dict[str, int]:
    """How many units of each stage are in each state."""
    units = Unit.objects.filter(job=job).values_list("stage", "state")
    return {f"{stage} {state}": count for (stage, state), count in Counter(units).items()}


def heard_words(job: Job) -> tuple[str, ...]:
    """The words of all segments in order."""
    texts = Segment.objects.filter(recording__job=job).order_by("piece__ordinal", "position")
    return tuple(word for text in texts.values_list("text", flat=True) for word in text.split())


def counter(name: str) -> int:
    """One of the ledger's counters."""
    return LedgerCounter.objects.filter(name=name).values_list("value", flat=True).first() or 0


def units_seen(jobs: Iterable[int]) -> list[UnitSeen]:
    """All units of these jobs."""
    return [
        UnitSeen(
            unit.pk,
            unit.job_id,
            unit.stage,
            unit.state,
            unit.attempts_made,
            unit.strikes,
            unit.payload.get("blob", ""),
        )
        for unit in Unit.objects.filter(job__in=jobs)
    ]


def recoveries(jobs: Iterable[int], faults_at: Sequence[float]) -> list[float]:
    """For each attempt that was lost: seconds until the unit was leased again."""
    seconds: list[float] = []
    for unit in Unit.objects.filter(job__in=jobs, attempts_made__gt=1):
        attempts = attempts_at(unit)
        for lost, following in pairwise(attempts):
            again = following.started.timestamp()
            begun = lost.started.timestamp()
            hits = [at for at in faults_at if begun <= at <= again]
            lost_at = hits[0] if hits else lost.ended.timestamp() if lost.ended else begun
            seconds.append(again - lost_at)
    return seconds
