"""When a unit that waits for others is opened."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.joins import InputOutcome, Inputs, Opening, opening, outcome_of_stage

RUN, WAIT, FAIL = Opening.RUN, Opening.WAIT, Opening.FAIL


@pytest.mark.parametrize(
    ("open_inputs", "done", "found"),
    [(3, 0, WAIT), (1, 2, WAIT), (1, 0, WAIT), (0, 3, RUN), (0, 1, RUN), (0, 0, FAIL)],
)
def test_all_waits_until_no_input_is_open_and_runs_with_what_is_done(
    open_inputs: int, done: int, found: Opening
) -> None:
    assert opening(Inputs(open_inputs, done), None, is_due=False) == found


@pytest.mark.parametrize(
    ("open_inputs", "done", "found"),
    [(4, 0, WAIT), (3, 1, WAIT), (2, 2, RUN), (1, 1, WAIT), (0, 1, RUN), (0, 0, FAIL), (1, 0, WAIT)],
)
def test_a_quorum_of_two_runs_as_soon_as_two_are_done_or_cannot_be(open_inputs: int, done: int, found: Opening) -> None:
    assert opening(Inputs(open_inputs, done), 2, is_due=False) == found


def test_a_quorum_out_of_reach_is_not_waited_for_where_something_is_done() -> None:
    assert opening(Inputs(open=1, done=1), 3, is_due=False) == RUN


@pytest.mark.parametrize("quorum", [None, 1, 3])
def test_at_its_time_it_runs_with_what_is_done_and_fails_with_nothing(quorum: int | None) -> None:
    assert opening(Inputs(open=2, done=1), quorum, is_due=True) == RUN
    assert opening(Inputs(open=3, done=0), quorum, is_due=True) == FAIL


@pytest.mark.parametrize(
    ("open_units", "done", "broken", "tolerance", "found"),
    [
        (1, 5, 0, 0.0, InputOutcome.OPEN),
        (0, 5, 0, 0.0, InputOutcome.DONE),
        (0, 0, 0, 0.0, InputOutcome.DONE),
        (0, 5, 1, 0.0, InputOutcome.CLOSED),
        (0, 3, 1, 0.25, InputOutcome.DONE),
        (0, 2, 1, 0.25, InputOutcome.CLOSED),
        (0, 1, 39, 1.0, InputOutcome.DONE),
        (0, 0, 3, 1.0, InputOutcome.CLOSED),
    ],
)
def test_a_stage_is_done_as_far_as_its_failures_are_borne(
    open_units: int, done: int, broken: int, tolerance: float, found: InputOutcome
) -> None:
    assert outcome_of_stage(open_units=open_units, done=done, broken=broken, tolerance=tolerance) == found
