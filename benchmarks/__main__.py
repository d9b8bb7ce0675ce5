"""Runs one benchmark: `python -m benchmarks NAME [OPTIONS]`.

The product must be pointed at a data directory of the benchmark's own before anything of it is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

import django

from benchmarks import harness

NAMES = (
    "overhead",
    "throughput",
    "queueing",
    "canvas",
    "speedup",
    "watchers",
    "uploads",
    "lists",
    "pooler",
    "first_result",
    "latency",
    "ears",
    "idle",
    "growth",
)


def main() -> None:
    """Prepares, and hands over the rest of the command line. Ends with a message for a name that is none."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in NAMES:
        raise SystemExit(f"{name!r} is no benchmark; these are: {', '.join(NAMES)}")
    sys.argv[:2] = [f"benchmarks {name}"]
    harness.private_data_directory()
    django.setup()
    import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
