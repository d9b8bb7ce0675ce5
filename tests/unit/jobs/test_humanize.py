"""How figures and states read."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.humanize import about, duration_words, look_of, speed_words
from clustercore.jobs.domain.lifecycle import AttemptOutcome, JobState, UnitState
from clustercore.terminal.domain.humanize import memory_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "—"),
        (-3.0, "0 s"),
        (4.21, "4.2 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60.0, "1 min"),
        (200.0, "3 min 20 s"),
        (3600.0, "1 h"),
        (7500.0, "2 h 5 min"),
        (86_400.0 * 3 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_a_length_of_time_has_at_most_two_units(seconds: float | None, words: str) -> None:
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (3.0, "under a minute"), (61.0, "about 1 min"), (761.0, "about 15 min"), (9000.0, "about 2 h")],
)
def test_a_guess_is_as_coarse_as_it_deserves(seconds: float | None, words: str) -> None:
    assert about(seconds) == words


def test_speeds_and_amounts_read_as_people_say_them() -> None:
    assert (speed_words(None), speed_words(2.25), speed_words(31.7)) == ("", "2.2x real time", "32x real time")
    assert (memory_words(512), memory_words(15_974)) == ("512 MB", "15.6 GB")


@pytest.mark.parametrize("state", [*JobState, *UnitState, *AttemptOutcome])
def test_every_state_of_the_ledger_has_a_look_of_its_own(state: str) -> None:
    assert look_of(state).icon != "dot"


def test_a_state_that_nobody_foresaw_reads_as_it_is_written() -> None:
    assert look_of("over_the_moon").word == "over the moon"
