"""How much work is, and how fast it goes."""

from __future__ import annotations

from clustercore.jobs.domain.amounts import amount_words, pace_words


def test_seconds_read_as_a_clock_and_anything_else_as_a_number() -> None:
    assert amount_words(65.0, "s of sound") == "1:05 of sound"
    assert amount_words(1200.0, "pages") == "1,200 pages"
    assert (amount_words(0.0, "pages"), amount_words(5.0, ""), amount_words(None, "pages")) == ("", "", "")


def test_a_pace_is_a_factor_of_seconds_and_a_rate_of_anything_else() -> None:
    assert pace_words(2.94, "s of sound") == "2.9× real time"  # noqa: RUF001
    assert pace_words(0.5, "pages") == "0.5 pages/s"
    assert pace_words(None, "pages") == ""
