"""What a job does next."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.progression import Counts, Move, StageRule, broken_stages, gaps, next_move

RULES = [StageRule("cut", 0.0), StageRule("hear", 0.5), StageRule("merge", 0.0)]


@pytest.mark.parametrize("state", ["queued", "leased"])
def test_while_anything_moves_it_goes_on_even_past_a_failure(state: str) -> None:
    assert next_move(RULES, {"cut": {"failed": 1}, "hear": {state: 1}}) == Move.GO_ON


@pytest.mark.parametrize("state", ["failed", "dead", "cancelled", "overdue"])
def test_a_failure_that_is_not_borne_ends_it_whatever_is_held_or_blocked(state: str) -> None:
    counts = {"cut": {state: 1}, "hear": {"held": 3}, "merge": {"blocked": 1}}
    assert next_move(RULES, counts, timed=1) == Move.FAIL
    assert broken_stages(RULES, counts) == ["cut"]


@pytest.mark.parametrize(("done", "failed", "found"), [(2, 2, Move.END), (1, 2, Move.FAIL), (3, 0, Move.END)])
def test_a_share_of_a_stage_may_fail(done: int, failed: int, found: Move) -> None:
    assert next_move(RULES, {"hear": {"done": done, "failed": failed}, "merge": {"done": 1}}) == found


@pytest.mark.parametrize(
    ("counts", "timed", "found"),
    [
        ({"hear": {"held": 1}, "merge": {"blocked": 1}}, 0, Move.WAIT),
        ({"hear": {"done": 1}, "merge": {"blocked": 1}}, 1, Move.WAIT),
        ({"hear": {"done": 1}, "merge": {"blocked": 1}}, 0, Move.STUCK),
        ({"hear": {"done": 1}, "merge": {"done": 1}}, 0, Move.END),
        ({"hear": {"skipped": 1}, "merge": {"done": 1}}, 0, Move.END),
    ],
)
def test_it_waits_for_people_and_times_and_otherwise_ends(counts: Counts, timed: int, found: Move) -> None:
    assert next_move(RULES, counts, timed=timed) == found


def test_what_it_ends_without_are_its_gaps() -> None:
    assert gaps({"hear": {"done": 3, "failed": 1, "skipped": 1, "overdue": 1}, "merge": {"done": 1}}) == 3
