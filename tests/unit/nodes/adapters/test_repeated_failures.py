"""What comes back every second is told once, in whatever words."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from clustercore.nodes.adapters import repeated_failures
from clustercore.nodes.adapters.repeated_failures import RepeatedFailures


class Failing:
    """Something that is tried every second, and its log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.failures = RepeatedFailures(logging.getLogger("test"))

    def told(self, **raised: Any) -> int:
        """How often a failure has been told, once it has come back."""
        try:
            fail(**raised)
        except Exception as error:
            self.failures.tell("the step", error)
        return self._caplog.text.count("the step failed")


def fail(*, words: str = "", kind: type[Exception] = ValueError, elsewhere: bool = False) -> None:
    if elsewhere:
        raise kind(words)
    raise kind(words)


@pytest.fixture
def failing(caplog: pytest.LogCaptureFixture) -> Failing:
    return Failing(caplog)


def test_a_failure_whose_words_change_each_time_is_told_once(failing: Failing) -> None:
    for second in range(30):
        assert failing.told(words=f"no row of key {second}") == 1


def test_other_words_are_told_after_a_minute_and_the_same_are_not(
    failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.told(words="no row of key 1")
    monkeypatch.setattr(repeated_failures, "REWORDED_SECONDS", 0.0)
    assert failing.told(words="no row of key 1") == 1
    assert failing.told(words="no row of key 2") == 2


@pytest.mark.parametrize("other", [{"kind": KeyError}, {"elsewhere": True}], ids=["another type", "another place"])
def test_another_failure_is_told_at_once(failing: Failing, other: dict[str, Any]) -> None:
    failing.told()
    assert failing.told(**other) == 2


def test_a_failure_that_comes_back_after_it_went_well_is_told_again(failing: Failing) -> None:
    failing.told()
    failing.failures.over("the step")
    assert failing.told() == 2
