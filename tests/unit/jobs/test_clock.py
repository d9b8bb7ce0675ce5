from __future__ import annotations

from dataclasses import replace

import pytest

from clustercore.jobs.domain.clock import ClockReading, step_between, step_in_words

BEFORE = ClockReading(database=1_000_000.0, elapsed=50.0, uncertainty=0.001, server_started=999_000.0, steps=0.0)


def later(seconds: float, *, database: float = 0.0, steps: float = 0.0, uncertainty: float = 0.001) -> ClockReading:
    """So many seconds after `BEFORE`, the database's clock set by `database` meanwhile."""
    return replace(
        BEFORE,
        database=BEFORE.database + seconds + database,
        elapsed=BEFORE.elapsed + seconds,
        steps=steps,
        uncertainty=uncertainty,
    )


@pytest.mark.parametrize("seconds", [0.0, 2.5, 86_400.0])
def test_clocks_that_go_together_made_no_step(seconds: float) -> None:
    assert step_between(BEFORE, later(seconds)) == 0.0


@pytest.mark.parametrize("step", [3600.0, -3600.0, 1.5, -31_536_000.0])
def test_a_clock_that_was_set_is_told_by_how_much(step: float) -> None:
    assert step_between(BEFORE, later(2.5, database=step)) == pytest.approx(step)


def test_drift_and_slewing_are_no_step() -> None:
    assert step_between(BEFORE, later(600.0, database=0.3)) == 0.0


def test_a_slow_answer_is_no_step() -> None:
    assert step_between(BEFORE, later(8.0, database=1.8, uncertainty=4.0)) == 0.0


def test_a_step_that_the_ledger_knows_of_is_not_told_again() -> None:
    assert step_between(BEFORE, later(2.5, database=3600.0, steps=3600.0)) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3600.0, "set back by 1 h 0 min"), (75.0, "set forward by 1 min 15 s"), (1.5, "set forward by 1.5 s")],
)
def test_a_step_is_told_in_words(seconds: float, words: str) -> None:
    assert step_in_words(seconds) == words
