"""A kind of job whose first stage must not be done twice: a letter is sent, then filed."""

from __future__ import annotations

from collections.abc import Callable

from clustercore.jobs.domain.kinds import JobKind, Stage
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from tests.fakes.jobs.kinds import remember_ring

SENDING: list[Callable[[UnitContext], Verdict]] = []
"""What sending does; while it is empty, it succeeds."""


def send(context: UnitContext) -> Verdict:
    return SENDING[-1](context) if SENDING else Done({"sent": True})


def file(context: UnitContext) -> Verdict:
    return Done({"job": context.job_id})


LETTERS = JobKind(
    main_stage="send",
    name="letters",
    ring=remember_ring,
    stages=(
        Stage(name="send", task="letters.send", capability="media", handler=send, opens="start", repeat="never"),
        Stage(name="file", task="letters.file", capability="media", handler=file, opens="barrier"),
    ),
)
