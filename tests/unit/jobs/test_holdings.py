from __future__ import annotations

from uuid import UUID

import pytest

from clustercore.jobs.adapters.attempts_in_flight import AttemptsInFlight, Holding
from clustercore.jobs.domain.unit_context import LeaseLost

ONE, OTHER = UUID(int=1), UUID(int=2)


def test_only_holdings_that_report_are_extended() -> None:
    holdings = AttemptsInFlight()
    talking, silent = Holding(ONE, 11), Holding(OTHER, 12)
    silent.last_report -= 60.0
    holdings.add(talking)
    holdings.add(silent)
    talking.report(0.25)
    assert holdings.extendable(silent_seconds=30.0) == {ONE: 0.25}


def test_a_holding_that_somebody_else_watches_is_extended_though_it_is_silent() -> None:
    holdings = AttemptsInFlight()
    loading = Holding(ONE, 11, watched_elsewhere=True)
    loading.last_report -= 500.0
    holdings.add(loading)
    assert holdings.extendable(silent_seconds=30.0) == {ONE: 0.0}


def test_a_lost_holding_stops_its_handler_at_the_next_report() -> None:
    holding = Holding(ONE, 11, lost_because="cancelled")
    holding.lost.set()
    with pytest.raises(LeaseLost, match="cancelled"):
        holding.report(0.5)


def test_a_handler_is_not_called_for_what_was_lost_before_it_began() -> None:
    holding = Holding(ONE, 11, lost_because="handed back")
    holding.lost.set()
    with pytest.raises(LeaseLost, match="handed back"):
        holding.begin()


def test_only_what_began_and_must_not_be_done_twice_is_in_doubt() -> None:
    once, often = Holding(ONE, 11, once=True), Holding(OTHER, 12)
    assert not once.is_in_doubt
    once.begin()
    often.begin()
    assert (once.is_in_doubt, often.is_in_doubt) == (True, False)


def test_a_wake_up_is_pending_until_its_bell_is_answered() -> None:
    holdings = AttemptsInFlight()
    holdings.knocked([5, 6])
    assert holdings.pending_wake_ups() == {5, 6}
    assert holdings.answered(5)
    assert holdings.pending_wake_ups() == {6}
    assert not holdings.answered(7)


def test_attempts_of_two_ledgers_at_one_unit_have_an_engine_host_and_a_workspace_each() -> None:
    assert Holding(ONE, 11).tag != Holding(OTHER, 11).tag
