from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clustercore.jobs.domain.verdict import (
    Ask,
    Crashed,
    Done,
    Fail,
    HandBack,
    Hold,
    Remake,
    Retry,
    Unknown,
    Verdict,
    backoff_seconds,
    from_json,
    to_json,
)


@pytest.mark.parametrize(
    "verdict",
    [
        Done({"text": "hello"}),
        Retry("busy", not_here=True, delay_seconds=3.0),
        Hold("ask", seconds=None),
        Fail("empty file", code="empty"),
        Remake("its sound is lost", stage="cut"),
        Crashed("killed by SIGSEGV"),
        HandBack("stopping"),
        Unknown("the worker died"),
        Ask("Send it?", ["approve", "refuse"], bound_to="abc", until=60.0, default="skip"),
    ],
)
def test_every_verdict_survives_the_spool(verdict: Verdict) -> None:
    assert from_json(to_json(verdict)) == verdict


def test_one_of_before_that_let_lower_rungs_try_is_tried_again() -> None:
    assert from_json({"verdict": "Degrade", "why": "too big", "rung": 1}) == Retry("too big")


def test_the_paths_of_a_results_files_do_not_leave_the_process() -> None:
    assert from_json(to_json(Done({"n": 1}, files={"page.png": Path("page.png")}))) == Done({"n": 1})


@pytest.mark.parametrize("default", ["approve", "do it again", ""])
def test_silence_approves_nothing(default: str) -> None:
    with pytest.raises(ValueError, match="'skip' or 'fail'"):
        Ask("Send it?", ["approve"], default=default)


@pytest.mark.parametrize("until", [0.0, -1.0, float("nan"), float("inf")])
def test_a_question_is_open_for_a_while_that_ends_or_for_ever(until: float) -> None:
    assert Ask("Send it?", ["approve"]).until is None
    with pytest.raises(ValueError, match="not open for"):
        Ask("Send it?", ["approve"], until=until)


@pytest.mark.parametrize("wrong", [{"question": " "}, {"bound_to": "x" * 201}])
def test_a_question_has_a_text_and_what_it_is_bound_to_is_a_hash(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a question has a text"):
        Ask(**({"question": "Send it?", "options": ["approve"]} | wrong))


def test_a_document_that_is_no_verdict_is_refused() -> None:
    with pytest.raises(ValueError, match="not a verdict"):
        from_json({"verdict": "Explode"})


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)])
def test_retries_wait_one_two_four_eight_seconds(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures, jitter=0.0) == seconds


def test_jitter_adds_at_most_a_quarter() -> None:
    assert backoff_seconds(3, jitter=1.0) == 5.0
