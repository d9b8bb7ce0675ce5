from __future__ import annotations

import pytest

from clustercore.jobs.domain.lifecycle import OPEN_UNIT_STATES, UnitState, may_follow


def test_only_queued_work_can_be_leased() -> None:
    assert [state for state in UnitState if may_follow(state, UnitState.LEASED)] == [UnitState.QUEUED]


def test_what_is_done_stays_done() -> None:
    assert not any(may_follow(UnitState.DONE, state) for state in UnitState)


@pytest.mark.parametrize("state", [UnitState.FAILED, UnitState.DEAD, UnitState.CANCELLED])
def test_a_person_can_queue_again_what_ended_badly(state: UnitState) -> None:
    assert may_follow(state, UnitState.QUEUED)


@pytest.mark.parametrize("state", OPEN_UNIT_STATES)
def test_everything_open_can_be_cancelled(state: UnitState) -> None:
    assert may_follow(state, UnitState.CANCELLED)
