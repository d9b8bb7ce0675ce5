# ruff: noqa: RUF001
"""Where lines may end, and how wide text is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.domain import line_breaking
from transcription.domain.cues import Layout, wrapped
from transcription.domain.line_breaking import may_break, unbroken_parts, width

JAPANESE = "「今日はとても良い天気ですね、」と彼は言いました。そして、ゆっくりとコーヒーを飲んでから、ラジオをつけた。"
CHINESE = (
    "你要说印度那可真是个奇葩的国家，近二十年以来以平均百分之六点二五的增速迅速崛起，先后超过了韩国、加拿大、意大利。"
)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("hello", 5),
        ("日本語", 6),
        ("한국어", 6),
        ("ｱｲｳ", 3),
        ("e\u0301te\u0301", 3),
        ("👨\u200d👩\u200d👧", 2),
        ("🇩🇪", 2),
        ("می\u200cخواهم", 7),
        ("a\x07b", 2),
    ],
)
def test_width_counts_what_is_seen(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize("text", [JAPANESE, CHINESE])
def test_no_line_begins_with_what_closes_or_ends_with_what_opens(text: str) -> None:
    lines = wrapped(text, Layout(16, 2))
    assert "".join(lines) == text
    assert all(width(line) <= 16 for line in lines)
    assert not [line for line in lines if line[0] in "。、」，っょ" or line[-1] in "「"]


@pytest.mark.parametrize(
    ("left", "separator", "right"),
    [
        ("aujourd", "", "'hui"),
        ("aider", "\u202f", "?"),
        ("aider", " ", "?"),
        ("«", "\u00a0", "Oui"),
        ("«", " ", "Oui"),
        ("50", " ", "%"),
        ("เ", "", "ก"),
        ("ก", "", "า"),
        ("ก", "", "\u0e49"),
        ("ក\u17d2", "", "ម"),
        ("👍", "", "\U0001f3fd"),
        ("コ", "", "ー"),
        ("", " ", "a"),
    ],
)
def test_what_belongs_together_stays_in_one_line(left: str, separator: str, right: str) -> None:
    assert not may_break(left, separator, right)


@pytest.mark.parametrize(
    ("left", "separator", "right"),
    [("a", " ", "b"), ("日", "", "本"), ("日", "", "PC"), ("PC", "", "を"), ("。", "", "次")],
)
def test_a_line_may_end_at_spaces_and_between_characters_of_scripts_without_them(
    left: str, separator: str, right: str
) -> None:
    assert may_break(left, separator, right)


def test_a_word_that_no_line_holds_is_cut_between_characters_as_they_are_seen() -> None:
    family = "👨\u200d👩\u200d👧"
    assert list(unbroken_parts(family * 5, 4)) == [family * 2, family * 2, family]
    assert list(unbroken_parts("a" * 10, 4)) == ["aaaa", "aaaa", "aa"]


def test_lines_are_as_even_as_they_can_be() -> None:
    assert wrapped("a line that is a little longer than one of those") == (
        "a line that is a little",
        "longer than one of those",
    )


@given(st.text(max_size=300), st.integers(4, 60))
def test_whatever_a_text_is_its_lines_hold_all_of_it(text: str, columns: int) -> None:
    lines = wrapped(text, Layout(columns, 2))
    assert "".join("".join(lines).split()) == "".join("".join(wrapped(text, Layout(1000, 1))).split())
    assert all(width(line) <= columns for line in lines)
    assert all(line.splitlines() in ([line], []) for line in lines)


def test_a_long_word_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def counted(text: str) -> int:
        measured.append(text)
        return len(text)

    monkeypatch.setattr(line_breaking, "width", counted)
    assert list(unbroken_parts("x" * 2_000, 500)) == ["x" * 500] * 4
    assert sum(map(len, measured)) == 2 * 2_000


@pytest.mark.parametrize("text", ["ก็" * 60 + "เด็ก" * 20, "e\u0301" * 100, "👨\u200d👩\u200d👧" * 40, "日本語、" * 50])
def test_parts_of_a_long_word_lose_nothing_and_are_no_wider_than_a_line(text: str) -> None:
    parts = list(unbroken_parts(text, 10))
    assert "".join(parts) == text
    assert max(map(width, parts)) <= 10
