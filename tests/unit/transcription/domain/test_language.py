from __future__ import annotations

import pytest

from transcription.domain.language import ALIASES, LANGUAGES, language_name, parse_language


@pytest.mark.parametrize("typed", ["en", "EN", " en ", "en-US", "en_GB", "English", "english"])
def test_english_may_be_written_in_many_ways(typed: str) -> None:
    assert parse_language(typed) == "en"


@pytest.mark.parametrize("typed", [None, "", "auto", "AUTO", "detect"])
def test_nothing_said_means_detect_it(typed: str | None) -> None:
    assert parse_language(typed) is None


@pytest.mark.parametrize(
    ("typed", "code"), [("farsi", "fa"), ("nb-NO", "no"), ("zh-Hans-CN", "zh"), ("cantonese", "yue")]
)
def test_other_names_and_longer_tags_are_understood(typed: str, code: str) -> None:
    assert parse_language(typed) == code


def test_an_unknown_language_is_refused_by_its_field_with_near_matches() -> None:
    with pytest.raises(ValueError, match=r"^source_language: 'germann'.*'german' \(de\)"):
        parse_language("germann", field="source_language")


def test_a_language_near_to_nothing_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match=r"'qqqqqq' is no language.*'en'"):
        parse_language("qqqqqq")


def test_the_table_has_a_name_of_its_own_for_each_of_whispers_hundred_languages() -> None:
    assert len(LANGUAGES) == 100
    assert len(set(LANGUAGES.values())) == 100


def test_no_alias_hides_a_code_and_each_leads_to_one() -> None:
    assert not set(ALIASES) & set(LANGUAGES)
    assert set(ALIASES.values()) <= set(LANGUAGES)


def test_every_name_and_code_parses_to_its_own_code() -> None:
    for code, name in LANGUAGES.items():
        assert parse_language(code) == parse_language(name) == code


def test_a_language_is_shown_by_its_name() -> None:
    assert language_name("ht") == "Haitian Creole"
    assert language_name("xx") == "xx"
