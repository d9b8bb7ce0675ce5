from __future__ import annotations

from itertools import pairwise

from transcription.domain.plan import piece_seconds

WINDOW = 5.0


def pieces_of(duration: float, slots: int) -> list[float]:
    pieces, remaining = [], duration
    while remaining > 0:
        pieces.append(min(remaining, piece_seconds(remaining, slots, 600.0, WINDOW, duration - remaining)))
        remaining -= pieces[-1]
    return pieces


def test_the_pieces_of_a_long_recording_are_never_longer_than_the_longest() -> None:
    assert max(pieces_of(7200.0, slots=1)) + WINDOW / 2 == 600.0


def test_more_slots_make_smaller_pieces() -> None:
    assert piece_seconds(3600.0, 6, 600.0, WINDOW, begun=600.0) == 297.5


def test_pieces_shrink_towards_the_end_so_that_all_slots_end_together() -> None:
    pieces = pieces_of(3600.0, slots=4)
    assert all(later <= earlier for earlier, later in pairwise(pieces[3:]))
    assert pieces[-2] == 27.5


def test_the_slots_that_wait_while_another_cuts_get_a_short_piece_each_and_then_long_ones() -> None:
    assert pieces_of(3600.0, slots=4)[:4] == [27.5, 27.5, 27.5, 417.5]
    assert pieces_of(3600.0, slots=2)[:2] == [27.5, 597.5]
    assert pieces_of(3600.0, slots=1)[0] == 597.5


def test_wherever_the_cut_falls_no_piece_begins_a_hearing_window_it_hardly_uses() -> None:
    assert all((piece + WINDOW / 2) % 30.0 == 0.0 for piece in pieces_of(3600.0, slots=3)[:-1])


def test_a_recording_of_unknown_length_is_cut_evenly() -> None:
    assert piece_seconds(None, 4, 600.0, WINDOW, begun=120.0) == 117.5


def test_a_longest_piece_that_is_short_is_kept_to() -> None:
    assert piece_seconds(3600.0, 1, 20.0, WINDOW, begun=0.0) == 20.0


def test_without_a_live_slot_the_recording_is_still_cut() -> None:
    assert piece_seconds(1200.0, 0, 600.0, WINDOW, begun=0.0) == 597.5
