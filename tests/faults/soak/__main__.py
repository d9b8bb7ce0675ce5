"""`python -m tests.faults.soak [--seed N] [--seconds 600] [--only NAME,…]`: what `make soak` runs."""

from __future__ import annotations

import argparse
import random
import signal
import sys

import django

from tests.faults.disks import NoDisk, why_no_disks
from tests.faults.power import why_no_power_cuts
from tests.faults.soak.places import private_disks
from tests.faults.soak.schedule import KINDS


def main() -> int:
    """Runs a soak; the exit code is 0 where nothing was lost, doubled, foreign, inexact or silent."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    if reason := why_no_disks() or why_no_power_cuts():
        sys.stdout.write(f"skipped: {reason}\n")
        return 0
    try:
        with private_disks() as directory:
            django.setup()
            from tests.faults.soak.run import soak

            return soak(directory, arguments.seed, arguments.seconds, arguments.only)
    except NoDisk as error:
        sys.stdout.write(f"skipped: {error}\n")
        return 0
    except KeyboardInterrupt:
        sys.stdout.write("interrupted; everything that was started is ended\n")
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument(
        "--only", type=lambda text: tuple(text.split(",")), default=tuple(KINDS), help=f"of {', '.join(KINDS)}"
    )
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
