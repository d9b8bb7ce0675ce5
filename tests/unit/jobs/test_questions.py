from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clustercore.jobs.domain.questions import Answer, checked_options, choices_of


def test_options_are_short_words_each_once() -> None:
    assert checked_options(["approve", "refuse"]) == ("approve", "refuse")


@pytest.mark.parametrize(
    "options",
    [[], ["approve", "approve"], [""], [" approve"], ["x" * 41], ["a\nb"], ["skip"], ["do it again"], ["fail"]],
)
def test_no_option_is_missing_doubled_unreadable_or_the_ledgers_own(options: list[str]) -> None:
    with pytest.raises(ValueError, match="option"):
        checked_options(options)


def test_a_person_may_always_skip() -> None:
    assert choices_of(["approve"]) == ("approve", "skip")
    assert choices_of(["do it again", "skip"]) == ("do it again", "skip")


def test_an_answer_is_read_as_the_claim_brings_it() -> None:
    brought = {"option": "approve", "by": "otto", "bound_to": "abc", "at": "2026-11-30T20:00:00.5+00:00"}
    assert Answer.from_json(brought) == Answer("approve", "otto", "abc", datetime(2026, 11, 30, 20, 0, 0, 500000, UTC))
