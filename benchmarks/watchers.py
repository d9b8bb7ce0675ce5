"""How late progress is seen: 200 pages watch 20 running jobs over WebSockets, the engine is simulated.

The ledger is moved by the kernel's own services: units are claimed, their leases extended with progress, and settled.
A step is seen by a page when it shows that progress, or a later one. Milliseconds count from the step's commit.

    python -m benchmarks watchers [--watchers 200] [--jobs 20] [--seconds 30] [--steps 20] [--each 1] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import transaction
from django.db.models.functions import Now

from benchmarks import harness
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.services.tokens import create_token
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.kinds import kind_named, known_contracts
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Unit
from clustercore.jobs.services.claim import Claimant, Claimed, claim
from clustercore.jobs.services.leases import extend_leases
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import Settled, settle
from clustercore.jobs.services.submit import submit
from clustercore.nodes.domain.facts import PROTOCOL
from clustercore.nodes.models import Node, NodeModel
from clustercore.project.web import command
from transcription.domain.sampling import SAMPLE_RATE
from transcription.models import Recording

DATA_DIRECTORY = harness.data_directory()

KIND = "transcription"
PIECES = 120
PIECE_SAMPLES = 30 * SAMPLE_RATE
LEASE_SECONDS = 600.0
PROCESSES = 2
SERVED = {"engine": "simulated", "model": "none", "rung": 3, "seconds": 4.0, "audio_seconds": 30.0, "device": "cpu"}
WARM_UP_SECONDS = 3.0
BARS: harness.Bars = {"p95_ms": ("<=", 500.0), "missed": ("<=", 0)}


@dataclass(slots=True)
class Running:
    """A job with one piece in hand; `done` pieces before it, `half`: whether that one is half done."""

    job_id: int
    claimant: Claimant
    held: Claimed
    done: int = 0
    half: bool = False

    def step(self) -> tuple[int, float]:
        """Half a piece more. Returns the thousandths that pages show then, and the moment of the commit."""
        if self.half:
            result = {"segments": [], "node": self.claimant.node_name, "real_time_factor": 0.13, **SERVED}
            if settle(self.held.key, Done(result), served_by=SERVED) is not Settled.COUNTED:
                raise AssertionError("the benchmark's own attempt was no longer live")
            committed = time.monotonic()
            self.done, self.half = self.done + 1, False
            self.held = _taken(self.claimant, self.job_id)
        else:
            extend_leases(self.claimant.instance, {self.held.key: 0.5}, LEASE_SECONDS)
            committed = time.monotonic()
            self.half = True
        return int((self.done + (0.5 if self.half else 0.0)) / PIECES * 1000), committed


def _taken(claimant: Claimant, job_id: int) -> Claimed:
    found = claim(claimant)
    if found is None or found.job_id != job_id:
        raise AssertionError(f"a unit of job {job_id} was wanted, not {found}")
    return found


def simulated_node(number: int) -> Claimant:
    """A node that is there as long as the benchmark says so; its engine does nothing, and one job asks for it."""
    instance = uuid4()
    node = Node.objects.create(
        name=f"simulated-{number}", hostname=f"simulated-{number}", instance=instance, boot_id=str(number),
        protocol=PROTOCOL, protocol_instance=instance, contracts=list(known_contracts()), process_id=1,
       operating_system="none", architecture="none", cores=4, memory_mb=8000, version="none", slots=1,
        capabilities=["media", "stt"], online=True, heartbeat_seconds=3600.0, last_seen=Now(), started=Now(),
    )  # fmt: skip
    NodeModel.objects.create(
        node=node, capability="stt", engine=f"simulated-{number}", model="none", traits=["lang:*"], rung=3
    )
    return Claimant(node.pk, node.name, node.instance, node.boot_id, node.capabilities, LEASE_SECONDS)


def running_job(owner: User, number: int) -> Running:
    """A transcription that is cut into pieces, the first of them in hand."""
    claimant = simulated_node(number)
    name = f"meeting {number}.flac"
    request = JobRequest(
        kind=KIND,
        title=name,
        fallback_title=name,
        parameters={"blob": f"{number:064x}"},
        language="en",
        needs=("lang:en",),
        owner_id=owner.pk,
        engine=claimant.node_name,
    )
    job, _ = submit(None, request, backlog_limit=10**9)
    Recording.objects.filter(job=job).update(seconds=PIECES * 30.0)
    Unit.objects.filter(job=job).update(state="done", finished=Now())
    pieces = [_piece(number, ordinal) for ordinal in range(PIECES)]
    with transaction.atomic():
        queue_units(kind_named(KIND), job.pk, pieces)
    return Running(job.pk, claimant, _taken(claimant, job.pk))


def _piece(job: int, ordinal: int) -> NewUnit:
    start = ordinal * PIECE_SAMPLES
    payload = {
        "blob": f"{job * 10_000 + ordinal:064x}",
        "ordinal": ordinal,
        "start_sample": start,
        "end_sample": start + PIECE_SAMPLES,
    }
    return NewUnit(stage="transcribe", ordinal=ordinal, payload=payload, weight=30.0)


@contextmanager
def pages(port: int, token: str, follows: Sequence[Sequence[int]], out: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of pages, each of which follows its jobs; at the end its file tells what they saw."""
    asked = [sys.executable, "-m", "benchmarks.watching_pages", str(port), token, str(out)]
    process = subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write("".join(f"{json.dumps(list(jobs))}\n" for jobs in follows) + "\n")
    process.stdin.flush()
    yield process
    process.stdin.write("enough\n")
    process.stdin.close()
    process.wait(60)


def move(jobs: Sequence[Running], steps_per_second: float, seconds: float) -> list[tuple[float, int, int]]:
    """Steps at random jobs, evenly enough: (moment of the commit, job, thousandths)."""
    chance, steps = random.Random(7), []
    order: list[Running] = []
    began = time.monotonic()
    due = began
    while time.monotonic() - began < seconds:
        order = order or chance.sample(list(jobs), len(jobs))
        job = order.pop()
        shown, committed = job.step()
        steps.append((committed, job.job_id, shown))
        due += chance.expovariate(steps_per_second)
        time.sleep(max(0.0, due - time.monotonic()))
    return steps


def lateness(steps: Sequence[tuple[float, int, int]], watched: Sequence[Sequence[Any]]) -> tuple[list[float], int]:
    """Milliseconds from each step to each page that follows its job, and how many were never seen."""
    late: list[float] = []
    missed = 0
    for page in watched:
        by_job: dict[int, tuple[list[int], list[float]]] = {}
        for at, job, shown in page:
            values, moments = by_job.setdefault(job, ([], []))
            values.append(shown)
            moments.append(at)
        for committed, job, shown in steps:
            if job not in by_job:
                continue
            values, moments = by_job[job]
            place = bisect_left(values, shown)
            if place == len(values):
                missed += 1
            else:
                late.append(max(0.0, moments[place] - committed) * 1000)
    return late, missed


def scheduling() -> str:
    """`real time` when started by `chrt -r 1`: on a machine with other work that shows what its processors can."""
    return "ordinary" if os.sched_getscheduler(0) == os.SCHED_OTHER else "real time"


Steps = list[tuple[float, int, int]]


def measure(chosen: argparse.Namespace) -> tuple[list[harness.Round[Steps]], list[Any], dict[str, Any]]:
    """The steps of each round, what each page saw, and what the web process needed meanwhile."""
    owner = User.objects.create_user("watcher")
    owner.groups.add(Group.objects.get(name=Role.OPERATOR.value))
    _, token = create_token(owner, "benchmark", frozenset({Permission.VIEW}))
    jobs = [running_job(owner, number) for number in range(chosen.jobs)]
    ids = [job.job_id for job in jobs]
    follows = [[ids[(page + more) % len(ids)] for more in range(chosen.each)] for page in range(chosen.watchers)]
    port = harness.free_port()
    files = [DATA_DIRECTORY / f"pages-{number}.json" for number in range(PROCESSES)]
    with harness.web_process(command(port=port), port) as web, ExitStack() as stack:
        opened = [
            stack.enter_context(pages(port, token, follows[number::PROCESSES], file))
            for number, file in enumerate(files)
        ]
        for process in opened:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        move(jobs, chosen.steps, WARM_UP_SECONDS)
        before, began = web.cpu_times(), time.monotonic()
        rounds = harness.rounds(chosen.rounds, lambda _: move(jobs, chosen.steps, chosen.seconds))
        after, memory, took = web.cpu_times(), web.memory_info().rss, time.monotonic() - began
        time.sleep(3.0)
    watched = [page for file in files for page in json.loads(file.read_text())]
    used = after.user + after.system - before.user - before.system
    web_used = {"web_processor_share": round(used / took, 2), "web_memory_mb": round(memory / 1e6)}
    return rounds, watched, web_used


def metrics_of(late: Sequence[float], missed: int, steps: Steps) -> dict[str, float]:
    """What one round showed."""
    return {
        "p95_ms": round(harness.quantile(late, 0.95), 1),
        "median_ms": round(statistics.median(late), 1),
        "worst_ms": round(max(late), 1),
        "steps": len(steps),
        "missed": missed,
    }


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--watchers", type=int, default=200)
    arguments.add_argument("--jobs", type=int, default=20)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--steps", type=float, default=20.0, help="progress steps a second, over all jobs")
    arguments.add_argument("--each", type=int, default=1, help="how many jobs each page follows")
    chosen = arguments.parse_args()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        rounds, watched, web_used = measure(chosen)
    stop(DATA_DIRECTORY)
    seen = [lateness(one.found, watched) for one in rounds]
    late = [ms for round_late, _ in seen for ms in round_late]
    found = [metrics_of(*of, one.found) for of, one in zip(seen, rounds, strict=True)]
    metrics = harness.medians(found) | {"missed": sum(one["missed"] for one in found), "watchers": chosen.watchers}
    details = {
        "jobs": chosen.jobs,
        "topics_per_watcher": chosen.each,
        "steps_per_second": chosen.steps,
        "seen": len(late),
        **web_used,
        "scheduling": scheduling(),
        "rounds": found,
    }
    rows = [*metrics.items(), *list(details.items())[:-1]]
    harness.print_table(harness.title("How late progress is seen", BARS), ("metric", "value"), rows)

    def draw(axes: Any) -> None:
        axes.hist(late, bins=80, range=(0, 1000))
        axes.axvline(500, color="tab:red", label="limit at p95")
        axes.axvline(metrics["p95_ms"], color="tab:green", label="p95")
        axes.set(
            xlabel="from commit to page (ms)",
            ylabel="how often",
            title=f"{chosen.watchers} pages watch {chosen.jobs} jobs",
        )
        axes.legend()

    loads = [one.load for one in rounds]
    harness.publish("watchers", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
