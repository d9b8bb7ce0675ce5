# ruff: noqa: RUF001
from __future__ import annotations

import pytest

from clustercore.terminal.domain.names import without_controls


@pytest.mark.parametrize(
    "name",
    [
        "Screen Recording 10.30.00\u202fPM.mov",
        "می\u200cخواهم.mp3",
        "👨\u200d👩\u200d👧.wav",
        "東京\u3000大阪.m4a",
        "a\u00a0b",
    ],
)
def test_a_name_keeps_its_spaces_and_joiners(name: str) -> None:
    assert without_controls(name) == name


@pytest.mark.parametrize("character", ["\x00", "\n", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\ud800", "\ufeff"])
def test_controls_and_marks_that_turn_what_follows_become_spaces(character: str) -> None:
    assert without_controls(f"a{character}b") == "a b"
