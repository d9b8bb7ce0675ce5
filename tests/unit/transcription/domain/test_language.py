from __future__ import annotations

import pytest

from transcription.domain.language import ALIASES, LANGUAGES, THREE_LETTERS, language_name, parse_language


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


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("deu", "de"), ("ger", "de"), ("GER", "de"), ("fra", "fr"), ("fre", "fr"), ("zho", "zh"), ("chi", "zh"),
        ("cmn", "zh"), ("cze", "cs"), ("ces", "cs"), ("fas", "fa"), ("per", "fa"), ("nob", "no"), ("nno", "nn"),
        ("arb", "ar"), ("swh", "sw"), ("fil", "tl"), ("jav", "jw"), ("haw", "haw"), ("yue", "yue"), ("gsw", "de"),
    ],
)  # fmt: skip
def test_codes_of_three_letters_are_understood_in_both_their_forms(typed: str, code: str) -> None:
    assert parse_language(typed) == code


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("zh-Hant", "zh"), ("zh_Hans_CN", "zh"), ("zh-yue-HK", "yue"), ("pt_BR", "pt"), ("pt_BR.UTF-8", "pt"),
        ("sr-Latn", "sr"), ("deu-DE", "de"), ("ca@valencia", "ca"), ("en-US-x-twain", "en"), ("eng_GB", "en"),
    ],
)  # fmt: skip
def test_script_region_and_encoding_of_a_tag_are_left_aside(typed: str, code: str) -> None:
    assert parse_language(typed) == code


@pytest.mark.parametrize(
    ("typed", "code"), [("Deutsch", "de"), ("francais", "fr"), ("Français", "fr"), ("РУССКИЙ", "ru"), ("日本語", "ja")]
)
def test_a_language_may_be_called_as_its_speakers_call_it(typed: str, code: str) -> None:
    assert parse_language(typed) == code


@pytest.mark.parametrize("typed", ["und", "UND", "mul", "zxx", "auto", "und-Latn"])
def test_undetermined_means_detect_it(typed: str) -> None:
    assert parse_language(typed) is None


@pytest.mark.parametrize("typed", ["xyz", "english!", "en-", "e", "de fr", "en-toolongasubtag", "\x00"])
def test_what_is_no_language_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="is no language"):
        parse_language(typed)


def test_codes_of_three_letters_are_each_of_one_language() -> None:
    codes = [code for codes in THREE_LETTERS.values() for code in codes.split()]
    assert len(codes) == len(set(codes))
    assert set(THREE_LETTERS) == set(LANGUAGES) - {"haw", "yue"}
    assert not set(codes) & (set(LANGUAGES) | set(ALIASES))


def test_an_unknown_language_is_refused_with_near_matches() -> None:
    with pytest.raises(ValueError, match=r"^'germann'.*'german' \(de\)"):
        parse_language("germann")


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
