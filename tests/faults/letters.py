"""A kind of job whose only stage must not be done twice: it leaves a line in a file, and nobody can take it back.

In the directory `PUPPET_DIRECTORY`: `letters` holds the lines, `counter-open` lets whoever has written one go on.
"""

from __future__ import annotations

import os
from pathlib import Path

from celery import shared_task

from clustercore.jobs.domain.kinds import JobKind, Stage
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.services.places import work
from clustercore.jobs.services.work import AttemptFailed
from clustercore.jobs.workflows import ring_units
from tests.faults.puppet import strings
from tests.faults.waiting import until

PATIENCE_SECONDS = 60.0


@shared_task(name="letters.send", throws=(AttemptFailed,))
def send(unit_id: int) -> str:
    """Sends a letter, if this node may."""
    return work(unit_id)


def post(context: UnitContext) -> Verdict:
    """Writes the line, and waits at the counter until it opens."""
    with (strings() / "letters").open("a") as file:
        file.write(f"{context.unit_id} {context.node_name} {os.getpid()}\n")
    until(lambda: _is_open(context), PATIENCE_SECONDS, "the counter did not open")
    return Done({"sent": context.unit_id})


def _is_open(context: UnitContext) -> bool:
    if (strings() / "counter-open").exists():
        return True
    context.report(0.5)
    return False


def sent(directory: Path) -> list[tuple[int, str]]:
    """Returns the unit and the node of each line."""
    try:
        lines = (directory / "letters").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(int(unit), node) for unit, node, _ in (line.split() for line in lines)]


LETTERS = JobKind(
    main_stage="send",
    name="letters",
    ring=lambda _job, stage, units: ring_units("letters", stage, units),
    stages=(Stage(name="send", task="letters.send", capability="media", handler=post, opens="start", repeat="never"),),
)
