from __future__ import annotations

import pytest

from transcription.adapters.clock import UNPROVEN_SECONDS, Clock

FRAME = 0.02


def silences(clock: Clock, *runs: tuple[float, float], bytes_at: tuple[int, ...] = ()) -> list[float]:
    """Frames from each run's first moment to its last; the silence put before any of them, to the tenth."""
    found = []
    for number, (start, end) in enumerate(runs):
        for index in range(round((end - start) / FRAME)):
            position = bytes_at[number] if bytes_at else None
            gap = clock.gap_before(start + index * FRAME, FRAME, position)
            found += [round(gap, 1)] if gap else []
    return found


def test_sound_that_begins_late_is_preceded_by_silence_however_long() -> None:
    assert silences(Clock(0.0, promised_end=7300.0), (7200.0, 7210.0)) == [7200.0]


def test_sound_that_begins_before_the_picture_begins_at_once() -> None:
    assert silences(Clock(0.0), (-0.5, 2.0)) == []


def test_without_an_origin_the_first_sound_is_the_beginning() -> None:
    assert silences(Clock(None), (95_000.0, 95_005.0)) == []


def test_jitter_is_no_gap() -> None:
    assert silences(Clock(0.0), (0.0, 1.0), (1.05, 2.0), (2.0, 3.0)) == []


def test_a_jump_beyond_what_the_time_stamps_alone_are_believed_is_told_and_left_out() -> None:
    clock = Clock(None)
    assert silences(clock, (0.0, 5.0), (95_448.7, 95_450.0)) == []
    assert round(clock.unbelieved_seconds) == 95_444


def test_many_gaps_are_believed_up_to_a_sum() -> None:
    clock = Clock(None)
    runs = [(number * 600.0, number * 600.0 + 1.0) for number in range(20)]
    assert sum(silences(clock, *runs)) <= UNPROVEN_SECONDS
    assert clock.unbelieved_seconds > 0


def test_a_gap_that_the_header_has_room_for_is_believed_and_one_behind_its_end_is_not() -> None:
    assert silences(Clock(0.0, promised_end=9000.0), (0.0, 1.0), (8000.0, 8001.0)) == [7999.0]
    assert silences(Clock(0.0, promised_end=60.0), (0.0, 1.0), (8000.0, 8001.0)) == []


def test_a_gap_through_which_other_tracks_were_read_is_believed() -> None:
    runs = ((0.0, 10.0), (9000.0, 9001.0))
    assert silences(Clock(0.0), *runs, bytes_at=(20_000, 9_000_000)) == [8990.0]
    assert silences(Clock(0.0), *runs, bytes_at=(20_000, 90_000)) == []


def test_a_gap_that_would_exceed_the_limit_is_left_out() -> None:
    assert silences(Clock(0.0, promised_end=9000.0, longest=3600.0), (8000.0, 8001.0)) == []


def test_a_clock_that_steps_back_and_returns_makes_no_silence() -> None:
    assert silences(Clock(0.0), (0.0, 100.0), (3.0, 3.1), (100.1, 101.0)) == []


def test_a_recording_that_begins_anew_in_the_file_keeps_its_own_gaps() -> None:
    assert silences(Clock(0.0), (0.0, 100.0), (0.0, 50.0), (55.0, 60.0)) == [5.0]


@pytest.mark.parametrize(
    ("origin", "first", "gap"), [(0.0, 1.0, 0.0), (0.0, 3.0, 2.0), (0.0, 0.5, 0.0), (None, 7.0, 0.0)]
)
def test_sound_before_the_first_moment_that_can_be_believed_counts(
    origin: float | None, first: float, gap: float
) -> None:
    clock = Clock(origin)
    assert clock.gap_before(None, 1.0, 0) == 0
    assert clock.gap_before(first, 1.0, 0) == gap
    assert clock.gap_before(first + 1.0, 1.0, 0) == 0
