"""What a job does next, from how many units of each stage are in which state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clustercore.jobs.domain.joins import bears
from clustercore.jobs.domain.lifecycle import BROKEN_UNIT_STATES, UnitState


class Move(StrEnum):
    """What follows for a job of which something has just ended."""

    GO_ON = "go on"
    WAIT = "wait"
    """Nothing moves, and something is to come: a person's answer, or a time."""
    FAIL = "fail"
    STUCK = "stuck"
    """Only units that wait for each other are left."""
    END = "end"


@dataclass(frozen=True, slots=True)
class StageRule:
    """A stage and the share of its units that may be broken."""

    name: str
    tolerance: float


Counts = Mapping[str, Mapping[str, int]]
"""Units by stage and state."""


def next_move(rules: Sequence[StageRule], counts: Counts, *, timed: int = 0) -> Move:
    """Returns what a job does next; `timed` of its blocked units open by themselves at a time.

    While anything is queued or leased it goes on. A failure that its stage does not bear ends it then, whatever is held
    or blocked: what that waits for will not come any more.
    """
    if _count(counts, UnitState.QUEUED, UnitState.LEASED):
        return Move.GO_ON
    if broken_stages(rules, counts):
        return Move.FAIL
    if timed or _count(counts, UnitState.HELD):
        return Move.WAIT
    return Move.STUCK if _count(counts, UnitState.BLOCKED) else Move.END


def broken_stages(rules: Sequence[StageRule], counts: Counts) -> list[str]:
    """The stages in which more is broken than they bear."""
    return [rule.name for rule in rules if not _is_borne(rule, counts.get(rule.name, {}))]


def gaps(counts: Counts) -> int:
    """How many units a job ends without."""
    return _count(counts, *BROKEN_UNIT_STATES, UnitState.SKIPPED)


def _is_borne(rule: StageRule, states: Mapping[str, int]) -> bool:
    broken = sum(states.get(state, 0) for state in BROKEN_UNIT_STATES)
    return bears(rule.tolerance, broken, sum(states.values()))


def _count(counts: Counts, *wanted: UnitState) -> int:
    return sum(states.get(state, 0) for states in counts.values() for state in wanted)
