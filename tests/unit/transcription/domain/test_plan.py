from __future__ import annotations

from transcription.domain.plan import SHORTEST_SECONDS, UNKNOWN_DURATION_SECONDS, piece_seconds


def test_a_long_recording_on_one_slot_is_cut_into_the_longest_pieces() -> None:
    assert piece_seconds(7200.0, slots=1, longest=600.0) == 600.0


def test_more_slots_make_smaller_pieces() -> None:
    assert piece_seconds(3600.0, slots=6, longest=600.0) == 150.0


def test_pieces_are_never_too_short_to_hear_a_sentence() -> None:
    assert piece_seconds(60.0, slots=8, longest=600.0) == SHORTEST_SECONDS


def test_a_recording_of_unknown_length_is_cut_as_if_it_were_long() -> None:
    assert piece_seconds(None, slots=4, longest=600.0) == UNKNOWN_DURATION_SECONDS
    assert piece_seconds(None, slots=4, longest=60.0) == 60.0


def test_without_a_live_slot_the_recording_is_still_cut() -> None:
    assert piece_seconds(1200.0, slots=0, longest=600.0) == 300.0
