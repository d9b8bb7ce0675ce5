"""What queueing costs a handler on a live worker: many units in one call, and the same units one call each.

python -m benchmarks queueing [--units 3000] [--singles 300] [--rounds 3] [--strict]

The worker's leases are short, so that one that cannot be extended meanwhile is lost. Messages are counted apart, as
`ring_unit_ms`: how many a kind sends for its units is its own matter.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from django.core.management import call_command

from benchmarks import harness
from benchmarks.fan_out import FAN_OUT
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.models import Attempt, Unit
from clustercore.jobs.services.control import cancel_job
from clustercore.jobs.services.submit import submit
from clustercore.nodes.models import Node

DATA_DIRECTORY = harness.data_directory()

NODE = "bench"
LEASE_SECONDS, HEARTBEAT_SECONDS = 1.0, 0.25
BARS: harness.Bars = {"queue_unit_ms": ("<=", 0.15), "leases_lost": ("<=", 0)}


def short_leased_worker() -> AbstractContextManager[Any]:
    """A node with one slot, which must extend its leases often."""
    return harness.worker(
        NODE,
        include="benchmarks.fan_out",
        CLUSTERCORE_LEASE_SECONDS=str(LEASE_SECONDS),
        CLUSTERCORE_HEARTBEAT_SECONDS=str(HEARTBEAT_SECONDS),
    )


def measure(units: int, singles: int) -> dict[str, float]:
    """What one handler found, and how many attempts lost their lease meanwhile."""
    request = JobRequest(kind=FAN_OUT.name, title="queueing", payload={"many": units, "singles": singles})
    job, _ = submit(None, request, backlog_limit=10**9)
    spread = Unit.objects.filter(job=job, stage="spread")
    harness.wait_until(spread.filter(state="done").exists, 300, "the unit that queues others", every=0.1)
    _all_there(job.pk, units + singles)
    cancel_job(job.pk)
    lost = Attempt.objects.filter(unit__job=job, outcome=AttemptOutcome.EXPIRED).count()
    result = spread.get().result or {}
    return {name: round(value, 4) for name, value in result.items()} | {"leases_lost": lost}


def _all_there(job_id: int, expected: int) -> None:
    found = Unit.objects.filter(job=job_id, stage="one").count()
    if found != expected:
        raise SystemExit(f"{found} units are there, and not {expected}")


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--units", type=int, default=3000, help="units in one call")
    arguments.add_argument("--singles", type=int, default=300, help="units in one call each")
    chosen = arguments.parse_args()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        with short_leased_worker():
            harness.wait_until(Node.objects.filter(name=NODE, online=True).exists, 60, "the node")
            measure(chosen.units, chosen.singles)
            rounds = harness.rounds(chosen.rounds, lambda _: measure(chosen.units, chosen.singles))
    stop(DATA_DIRECTORY)
    found = [one.found for one in rounds]
    metrics = harness.medians(found, digits=4) | {"leases_lost": sum(one["leases_lost"] for one in found)}
    title = harness.title(f"{chosen.units} units in one call, {chosen.singles} in one each", BARS)
    harness.print_table(title, ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        shown = ("queue_unit_ms", "single_ms", "ring_unit_ms")
        axes.bar(("many in one call", "one call each", "a message"), [metrics[name] for name in shown])
        axes.set(ylabel="a unit (ms)", title="What queueing costs", yscale="log")

    details = {"units": chosen.units, "singles": chosen.singles, "rounds": found}
    loads = [one.load for one in rounds]
    harness.publish("queueing", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
