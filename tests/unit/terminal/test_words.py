"""How names, times and sizes read in one line."""

from __future__ import annotations

import pytest

from clustercore.terminal.domain.humanize import clock_words, counted, file_size_words, printable


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03"), (None, "–")],  # noqa: RUF001
)
def test_durations_read_like_a_clock(seconds: float | None, text: str) -> None:
    assert clock_words(seconds) == text


def test_a_long_name_loses_its_middle_and_a_control_its_power() -> None:
    assert printable("x" * 50 + ".mp3", 11) == "xxxxx….mp3"[:5] + "…x.mp3"
    assert "\x1b" not in printable("a\x1b[2Jb")


def test_numbers_read_as_people_say_them() -> None:
    assert (counted(1, "piece"), counted(1200, "piece")) == ("1 piece", "1,200 pieces")
    assert (file_size_words(79e6), file_size_words(1.5e9)) == ("79 MB", "1.5 GB")
