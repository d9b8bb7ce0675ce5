"""A kind of job of a thousand small units: each leaves a line in a file, so that what was done twice is seen.

The lines lie in `errands` of the directory `PUPPET_DIRECTORY`, a file for each process.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import shared_task

from clustercore.jobs.domain.kinds import JobKind, Stage
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.services.places import work
from clustercore.jobs.services.work import AttemptFailed
from clustercore.jobs.workflows import ring_units
from tests.faults.puppet import node, strings

SECONDS = 0.01


@shared_task(name="errands.run", throws=(AttemptFailed,))
def run_errand(unit_id: int) -> str:
    """Runs errands, if this node may."""
    return work(unit_id)


def errand(context: UnitContext) -> Verdict:
    """Takes a moment, and leaves a line."""
    time.sleep(SECONDS)
    directory = strings() / "errands"
    directory.mkdir(exist_ok=True)
    with (directory / f"{node()}-{os.getpid()}").open("a") as file:
        file.write(f"{context.ordinal}\n")
    return Done({"ordinal": context.ordinal})


def run_by(directory: Path) -> dict[str, list[int]]:
    """Returns the numbers of the errands that each node ran, as often as it did."""
    found: dict[str, list[int]] = {}
    for file in (directory / "errands").glob("*"):
        found.setdefault(file.name.rpartition("-")[0], []).extend(map(int, file.read_text().split()))
    return found


ERRANDS = JobKind(
    main_stage="errand",
    name="errands",
    ring=lambda _job, stage, units: ring_units("errands", stage, units),
    stages=(Stage(name="errand", task="errands.run", capability="media", handler=errand, opens="start"),),
)
