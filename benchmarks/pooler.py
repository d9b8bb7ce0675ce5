"""What a pooler costs: units on a node direct and on one through PgBouncer in transaction mode, in turn.

python -m benchmarks pooler [--rounds 5] [--units 300] [--strict]
"""

from __future__ import annotations

import statistics
from typing import Any

from django.core.management import call_command

from benchmarks import harness
from benchmarks.overhead import units_per_second
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.services import ensure_running, stop
from clustercore.nodes.domain.queues import queue_for_node
from clustercore.nodes.models import Node
from clustercore.nodes.services import drain, undrain
from tests import pooler

DATA_DIRECTORY = harness.data_directory()
DIRECT, POOLED = "direct", "pooled"
SLOTS = 2
WARM_UNITS = 50
BARS: harness.Bars = {"pooled_over_direct": ("<=", 1.25), "collisions": ("<=", 0)}


def rest(name: str, *, other: str) -> None:
    """Lets `other` alone take work: an idle node would look for what it could claim, too."""
    drain(name)
    undrain(other)
    resting, working = Node.objects.filter(name=name).exclude(hold_reason=""), Node.objects.filter(hold_reason="")
    harness.wait_until(lambda: resting.exists() and working.filter(name=other).exists(), 60, f"{other} alone")


def seconds_on(name: str, units: int) -> float:
    """How long the units take on one node, with everything queued before the clock starts."""
    rest(POOLED if name == DIRECT else DIRECT, other=name)
    return units / units_per_second(units, queue_for_node(name))


Seconds = tuple[float, float]
"""Direct and pooled."""


def measure(rounds: int, units: int) -> list[harness.Round[Seconds]]:
    """Rounds of both; each begins with the one that the round before ended with."""
    for name in (DIRECT, POOLED):
        seconds_on(name, WARM_UNITS)

    def both(number: int) -> Seconds:
        order = (POOLED, DIRECT) if number % 2 == 0 else (DIRECT, POOLED)
        seconds = {name: seconds_on(name, units) for name in order}
        return seconds[DIRECT], seconds[POOLED]

    return harness.rounds(rounds, both)


def both_online() -> bool:
    return Node.objects.filter(name__in=(DIRECT, POOLED), online=True, hold_reason="").count() == 2


def on_both_nodes(endpoints: Endpoints, rounds: int, units: int) -> tuple[list[harness.Round[Seconds]], int]:
    """The rounds, and how many collisions the server's log tells."""
    call_command("migrate", verbosity=0)
    with (
        pooler.running_pooler(endpoints) as url,
        harness.worker(DIRECT, slots=SLOTS, include="benchmarks.empty_units"),
        harness.worker(POOLED, slots=SLOTS, include="benchmarks.empty_units", DATABASE_URL=url),
    ):
        harness.wait_until(both_online, 120, "the nodes")
        return measure(rounds, units), pooler.collisions(endpoints)


def main() -> None:
    """Measures, prints, writes. Ends with a message where there is no PgBouncer."""
    arguments = harness.arguments(__doc__, rounds=5)
    arguments.add_argument("--units", type=int, default=300, help="units of a run")
    chosen = arguments.parse_args()
    if pooler.PROGRAM is None:
        raise SystemExit(pooler.ABSENT)
    with ensure_running(DATA_DIRECTORY, linger_seconds=5) as lease:
        rounds, collisions = on_both_nodes(lease.endpoints, chosen.rounds, chosen.units)
    stop(DATA_DIRECTORY)
    found = [one.found for one in rounds]
    metrics = {
        "pooled_over_direct": round(statistics.median(pooled / direct for direct, pooled in found), 3),
        "collisions": collisions,
        "direct_ms_per_unit": round(statistics.median(direct for direct, _ in found) / chosen.units * 1000, 2),
        "pooled_ms_per_unit": round(statistics.median(pooled for _, pooled in found) / chosen.units * 1000, 2),
    }
    rows = [(f"{direct:.2f}", f"{pooled:.2f}", f"{pooled / direct:.3f}") for direct, pooled in found]
    harness.print_table(harness.title(f"Seconds for {chosen.units} units", BARS), ("direct", "pooled", "ratio"), rows)

    def draw(axes: Any) -> None:
        axes.plot([direct for direct, _ in found], "o-", label=DIRECT)
        axes.plot([pooled for _, pooled in found], "o-", label="through PgBouncer")
        axes.set(
            xlabel="round", ylabel=f"seconds for {chosen.units} units", title="What a pooler costs", ylim=(0, None)
        )
        axes.legend()

    details, loads = {"units": chosen.units, "seconds": found}, [one.load for one in rounds]
    harness.publish("pooler", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
