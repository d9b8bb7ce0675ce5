"""A kind of job that only the tests know: several are asked, a quorum votes, and what comes next rests on the vote."""

from __future__ import annotations

from clustercore.jobs.domain.kinds import JobKind, Stage
from clustercore.jobs.domain.new_unit import After, Join, NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from tests.fakes.jobs.kinds import remember_ring

CANDIDATES, QUORUM = 4, 2


def operation(number: int, until_seconds: float | None = None) -> list[NewUnit]:
    """The candidates of one operation, which wait for the vote of the one before, and their vote."""
    group = f"operation {number}"
    first = number * CANDIDATES
    before = [After(stage="vote", ordinal=number - 1)] if number else []
    asked = [
        NewUnit(stage="ask", ordinal=first + candidate, group=group, after=before) for candidate in range(CANDIDATES)
    ]
    candidates = [After(stage="ask", ordinal=unit.ordinal) for unit in asked]
    join = Join(quorum=QUORUM, until_seconds=until_seconds)
    return [*asked, NewUnit(stage="vote", ordinal=number, group=group, after=candidates, join=join, priority=1)]


def planned(operations: int) -> Done:
    """The plan's verdict: all units of so many operations."""
    return Done({}, then=[unit for number in range(operations) for unit in operation(number)])


def plan(context: UnitContext) -> Verdict:
    return planned(int(context.parameters.get("operations", 2)))


def answer(context: UnitContext) -> Verdict:
    return Done({"ordinal": context.ordinal})


PANEL = JobKind(
    name="panel",
    ring=remember_ring,
    main_stage="ask",
    stages=(
        Stage(name="plan", task="panel.plan", capability="media", handler=plan, opens="start"),
        Stage(name="ask", task="panel.ask", capability="stt", handler=answer, opens="producer", tolerance=1.0),
        Stage(name="vote", task="panel.vote", capability="media", handler=answer, opens="producer", light=True),
        Stage(name="conclude", task="panel.conclude", capability="media", handler=answer, opens="barrier"),
    ),
)
