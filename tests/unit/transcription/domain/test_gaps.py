"""What is said of pieces that nobody heard."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.lifecycle import UnitState
from transcription.domain.gaps import AGAIN, REASON_CHARACTERS, UnheardPiece, gaps_of, reason_of
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.transcript import Gap


def piece(start: int, end: int, state: str = "failed", error: str = "the sound is broken") -> UnheardPiece:
    return UnheardPiece(start * SAMPLE_RATE, end * SAMPLE_RATE, state, error)


def test_a_gap_has_the_times_of_its_piece_and_the_reason() -> None:
    assert gaps_of([piece(80, 110)]) == (Gap(80.0, 110.0, "could not be heard: the sound is broken"),)


def test_neighbours_are_one_gap_that_tells_each_reason_once() -> None:
    pieces = [piece(0, 10), piece(10, 20), piece(20, 30, "skipped", ""), piece(40, 50)]
    assert gaps_of(pieces) == (
        Gap(0.0, 30.0, "could not be heard: the sound is broken; was skipped"),
        Gap(40.0, 50.0, "could not be heard: the sound is broken"),
    )


@pytest.mark.parametrize(
    ("state", "error", "reason"),
    [
        ("failed", "", "could not be heard"),
        ("dead", "crashed its worker 3 times. `clustercore retry 7` tries again", "could not be heard: crashed its"),
        ("overdue", "its time was over.", "was not heard in time: its time was over"),
        ("skipped", "", "was skipped"),
        ("cancelled", "cancelled by otto", "was cancelled: cancelled by otto"),
        ("queued", "the try before failed", AGAIN),
        ("blocked", "", AGAIN),
    ],
)
def test_each_way_to_end_without_a_text_reads_as_a_person_would_say_it(state: str, error: str, reason: str) -> None:
    told = reason_of(state, error)
    assert told.startswith(reason)
    assert "`" not in told


@pytest.mark.parametrize("state", [state for state in UnitState if state != "done"])
def test_every_state_without_a_result_has_a_reason_of_one_line_that_is_not_endless(state: str) -> None:
    told = reason_of(state, "no rung\nworked:\t" + "many things went wrong " * 100)
    assert told and "\n" not in told and "\t" not in told
    assert len(told) <= REASON_CHARACTERS
