"""What grows with how much waits, runs and has been: claims, looks for work, and what else a cluster does all the time.

    python -m benchmarks growth [--rounds 1] [--strict]

Each part is a module with its bars (`BARS`) and `measure()`, which fills a ledger of its own and returns its metrics.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from benchmarks import growth_claims, growth_history, growth_page, growth_sweeps, harness
from benchmarks.growth_ledger import empty
from clustercore.embedded.selectors import signing_key
from clustercore.embedded.services import ensure_running, stop

DATA_DIRECTORY = harness.data_directory()

PARTS = (growth_claims, growth_sweeps, growth_history, growth_page)
BARS: harness.Bars = {name: bar for part in PARTS for name, bar in part.BARS.items()}
SIZES = ("1", "1000", "10000")


def measure() -> dict[str, float]:
    """Returns what all parts found."""
    found: dict[str, float] = {}
    for part in PARTS:
        empty()
        found |= part.measure()
    return found


def main() -> None:
    """Measures, prints, writes."""
    chosen = harness.arguments(__doc__, rounds=1).parse_args()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        # Pages are measured too, and sign who looks at them in.
        settings.SECRET_KEY = signing_key(DATA_DIRECTORY)
        rounds = harness.rounds(chosen.rounds, lambda _: measure())
        connection.close()
    stop(DATA_DIRECTORY)
    found = [one.found for one in rounds]
    metrics = harness.medians(found)
    harness.print_table(harness.title("As the ledger grows", BARS), ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        for name in ("claim", "look"):
            axes.plot(SIZES, [metrics[f"{name}_ms_{size}"] for size in SIZES], marker="o", label=f"a {name}")
        axes.set(xlabel="running jobs", ylabel="ms", ylim=(0, None), title="What running jobs cost each other")
        axes.legend()

    loads = [one.load for one in rounds]
    harness.publish("growth", metrics, {"rounds": found}, draw, bars=BARS, loads=loads, strict=chosen.strict)
