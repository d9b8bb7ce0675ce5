"""What the ledger costs: a unit against a bare Celery task, interleaved in one run on one worker.

python -m benchmarks overhead [--pairs 400] [--units 2000] [--rounds 3] [--strict]
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

from django.core.management import call_command
from django.db import transaction

from benchmarks import harness
from benchmarks.empty_units import EMPTY, bare, unit
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.submit import submit
from clustercore.jobs.workflows import worth_a_message
from clustercore.nodes.domain.queues import queue_for
from clustercore.nodes.models import Node

DATA_DIRECTORY = harness.data_directory()

NODE = "bench"
BARS: harness.Bars = {"unit_minus_bare_median_ms": ("<=", 2.0)}


def open_job() -> Job:
    """A job that stays open: one of its units belongs to nobody."""
    with transaction.atomic():
        job, _ = submit(None, JobRequest(kind=EMPTY.name, title="overhead"), backlog_limit=10**9)
        Unit.objects.filter(job=job).update(capability="nobody")
    return job


def insert(job: Job, ordinals: range) -> list[int]:
    """Queues units without ringing for them."""
    silent = replace(EMPTY, ring=lambda *_: None)
    with transaction.atomic():
        return queue_units(silent, job.pk, [NewUnit(stage="nothing", ordinal=ordinal) for ordinal in ordinals])


def bare_milliseconds(number: int) -> float:
    """One round trip of a bare task through the same queue."""
    began = time.perf_counter()
    bare.apply_async((number,), queue=queue_for("media")).get(timeout=30)
    return (time.perf_counter() - began) * 1000


def unit_milliseconds(job: Job, ordinal: int) -> float:
    """One round trip of a unit: its bell, claim, handler, settle, and the task's result."""
    [unit_id] = insert(job, range(ordinal, ordinal + 1))
    began = time.perf_counter()
    unit.apply_async((unit_id,), queue=queue_for("media")).get(timeout=30)
    return (time.perf_counter() - began) * 1000


def round_trips(pairs: int) -> tuple[list[float], list[float]]:
    """Interleaved round trips in milliseconds: bare, unit."""
    job = open_job()
    for warm in range(20):
        bare_milliseconds(warm)
        unit_milliseconds(job, 1 + warm)
    times = [(bare_milliseconds(n), unit_milliseconds(job, 100 + n)) for n in range(pairs)]
    return [pair[0] for pair in times], [pair[1] for pair in times]


def throughput(units: int) -> tuple[float, float]:
    """Per second: units and bare tasks, of which neither keeps a result, but for the last task."""
    return units_per_second(units, queue_for("media")), _bare_per_second(units)


def units_per_second(count: int, queue: str) -> float:
    """Sends the messages for units that are all there already to `queue`, and waits until the last is done."""
    job = open_job()
    Job.objects.filter(pk=job.pk).update(state="paused")
    ids = insert(job, range(1, count + 1))
    Job.objects.filter(pk=job.pk).update(state="running")
    began = time.perf_counter()
    for unit_id in worth_a_message(ids, "media"):
        unit.apply_async((unit_id,), queue=queue, ignore_result=True)
    open_units = Unit.objects.filter(job=job, capability="media").exclude(state="done")
    harness.wait_until(lambda: not open_units.exists(), 300, "units")
    return count / (time.perf_counter() - began)


def _bare_per_second(count: int) -> float:
    began = time.perf_counter()
    for number in range(count - 1):
        bare.apply_async((number,), queue=queue_for("media"), ignore_result=True)
    bare.apply_async((count,), queue=queue_for("media")).get(timeout=120)
    return count / (time.perf_counter() - began)


def measure(pairs: int, units: int) -> tuple[dict[str, float], list[float], list[float]]:
    """The metrics, and the round trips behind them."""
    bares, whole = round_trips(pairs)
    units_a_second, bare_a_second = throughput(units)
    metrics = {
        "unit_minus_bare_median_ms": round(statistics.median(whole) - statistics.median(bares), 2),
        "unit_over_bare": round(statistics.median(whole) / statistics.median(bares), 3),
        "unit_median_ms": round(statistics.median(whole), 2),
        "unit_p95_ms": round(harness.quantile(whole, 0.95), 2),
        "bare_median_ms": round(statistics.median(bares), 2),
        "bare_p95_ms": round(harness.quantile(bares, 0.95), 2),
        "units_per_second": round(units_a_second, 1),
        "bare_per_second": round(bare_a_second, 1),
        "units_over_bare": round(units_a_second / bare_a_second, 3),
    }
    return metrics, bares, whole


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--pairs", type=int, default=400, help="interleaved round trips")
    arguments.add_argument("--units", type=int, default=2000, help="units for the throughput")
    chosen = arguments.parse_args()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        with harness.worker(NODE, slots=2, include="benchmarks.empty_units"):
            harness.wait_until(lambda: Node.objects.filter(name=NODE, online=True).exists(), 60, "the node")
            rounds = harness.rounds(chosen.rounds, lambda _: measure(chosen.pairs, chosen.units))
    stop(DATA_DIRECTORY)
    metrics = harness.medians([one.found[0] for one in rounds])
    bares, whole = ([ms for one in rounds for ms in one.found[which]] for which in (1, 2))
    title = harness.title("A unit against a bare Celery task", BARS)
    harness.print_table(title, ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        axes.hist([bares, whole], bins=60, range=(0, 20), label=["bare task", "unit"])
        axes.set(xlabel="round trip (ms)", ylabel="how many", title="What the ledger costs")
        axes.legend()

    details = {"pairs": chosen.pairs, "units": chosen.units, "rounds": [one.found[0] for one in rounds]}
    loads = [one.load for one in rounds]
    harness.publish("overhead", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
