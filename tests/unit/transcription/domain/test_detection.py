from __future__ import annotations

import pytest

from transcription.domain.detection import MOST_ASKED, UNKNOWN_LANGUAGE, Heard, decided_language


def test_the_first_sure_language_decides() -> None:
    heard = [Heard(None), Heard("de", 0.3), Heard("fr", 0.9)]
    assert decided_language(heard, is_last=False) == "fr"
    assert decided_language([Heard("fr")], is_last=False) == "fr"


def test_silence_decides_nothing_while_there_is_another_piece() -> None:
    assert decided_language([], is_last=False) is None
    assert decided_language([Heard(None)] * 20, is_last=False) is None


def test_where_nobody_spoke_at_all_the_language_is_unknown() -> None:
    assert decided_language([Heard(None)] * 3, is_last=True) == UNKNOWN_LANGUAGE
    assert decided_language([], is_last=True) == UNKNOWN_LANGUAGE


@pytest.mark.parametrize("is_last", [True, False])
def test_of_doubtful_languages_the_most_probable_is_taken_in_the_end(is_last: bool) -> None:
    heard = [Heard("de", 0.2), Heard("fr", 0.4), Heard("nl", 0.3)]
    assert decided_language(heard, is_last=is_last) == "fr"
    assert decided_language(heard[:2], is_last=False) is None


def test_a_recording_full_of_noise_is_not_asked_about_for_ever() -> None:
    assert decided_language([Heard(None)] * MOST_ASKED, is_last=False) == UNKNOWN_LANGUAGE
    assert decided_language([*[Heard(None)] * (MOST_ASKED - 1), Heard("de", 0.2)], is_last=False) == "de"
