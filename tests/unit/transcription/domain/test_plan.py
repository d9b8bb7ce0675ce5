from __future__ import annotations

from itertools import pairwise

from transcription.domain.plan import SHORTEST_SECONDS, UNKNOWN_DURATION_SECONDS, piece_seconds


def pieces_of(duration: float, slots: int) -> list[float]:
    pieces, remaining = [], duration
    while remaining > 0:
        pieces.append(min(remaining, piece_seconds(remaining, slots, longest=600.0)))
        remaining -= pieces[-1]
    return pieces


def test_the_pieces_of_a_long_recording_are_never_longer_than_the_longest() -> None:
    assert max(pieces_of(7200.0, slots=1)) == 600.0


def test_more_slots_make_smaller_pieces() -> None:
    assert piece_seconds(3600.0, slots=6, longest=600.0) == 300.0


def test_pieces_shrink_towards_the_end_so_that_all_slots_end_together() -> None:
    pieces = pieces_of(3600.0, slots=4)
    assert all(later <= earlier for earlier, later in pairwise(pieces))
    assert pieces[-2] == SHORTEST_SECONDS


def test_pieces_are_never_too_short_to_hear_a_sentence() -> None:
    assert piece_seconds(20.0, slots=8, longest=600.0) == SHORTEST_SECONDS


def test_a_recording_of_unknown_length_is_cut_evenly() -> None:
    assert piece_seconds(None, slots=4, longest=600.0) == UNKNOWN_DURATION_SECONDS
    assert piece_seconds(None, slots=4, longest=60.0) == 60.0


def test_without_a_live_slot_the_recording_is_still_cut() -> None:
    assert piece_seconds(1200.0, slots=0, longest=600.0) == 600.0
