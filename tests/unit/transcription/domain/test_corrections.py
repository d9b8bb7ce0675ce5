from __future__ import annotations

import pytest

from transcription.domain.corrections import Change, corrected, is_place, places_of, standing, what_stands
from transcription.domain.transcript import Segment, Word

HEARD = Segment(
    10.0,
    14.0,
    "I scream for you, today.",
    (
        Word("I", 10.0, 10.4, 0.9),
        Word("scream", 10.4, 11.0, 0.3),
        Word("for", 11.0, 11.5, 0.9),
        Word("you,", 12.0, 13.0, 0.9),
        Word("today.", 13.0, 14.0, 0.9),
    ),
)


def after(*changes: Change, segment: Segment = HEARD) -> Segment:
    return corrected(segment, standing(changes))


def times(segment: Segment) -> list[tuple[str, float, float]]:
    return [(word.word, round(word.start, 3), round(word.end, 3)) for word in segment.words]


def test_nothing_said_leaves_what_was_heard() -> None:
    assert after() is HEARD


def test_a_word_is_replaced_at_its_own_time() -> None:
    changed = after(Change(1, "stream"))
    assert changed.text == "I stream for you, today."
    assert changed.words[1] == Word("stream", 10.4, 11.0, None)
    assert changed.words[0] is HEARD.words[0]


def test_one_word_replaced_by_several_shares_its_time_by_their_letters() -> None:
    changed = after(Change(1, "scr eam now"))
    assert changed.text == "I scr eam now for you, today."
    assert times(changed)[1:4] == [("scr", 10.4, 10.6), ("eam", 10.6, 10.8), ("now", 10.8, 11.0)]


def test_an_empty_text_deletes_a_word_and_the_place_is_kept() -> None:
    count = standing([Change(0, "")])
    assert corrected(HEARD, count).text == "scream for you, today."
    assert places_of(HEARD, count)[0].words == ()
    assert places_of(HEARD, count)[0].heard.word == "I"


def test_the_latest_change_of_a_word_counts() -> None:
    assert after(Change(1, "steam"), Change(1, "stream")).text == "I stream for you, today."


def test_without_the_latest_the_one_before_counts_again() -> None:
    changes = [Change(1, "steam"), Change(1, "stream")]
    assert after(*changes[:-1]).text == "I steam for you, today."


def test_a_whole_segment_keeps_the_times_of_words_that_were_heard() -> None:
    changed = after(Change(None, "Ice cream for you, my dear, today."))
    assert changed.text == "Ice cream for you, my dear, today."
    assert times(changed)[2:4] == [("for", 11.0, 11.5), ("you,", 12.0, 13.0)]
    assert times(changed)[-1] == ("today.", 13.0, 14.0)
    starts = [word.start for word in changed.words]
    assert starts == sorted(starts)
    assert changed.words[0].start >= 10.0
    assert changed.words[-1].end <= 14.0


def test_a_whole_segment_sets_earlier_words_aside() -> None:
    assert after(Change(1, "stream"), Change(None, "All of it.")).text == "All of it."


def test_a_whole_segment_may_be_deleted() -> None:
    assert after(Change(None, "")).text == ""
    assert after(Change(None, "")).words == ()


def test_words_put_into_a_pause_take_the_pause() -> None:
    changed = after(Change(None, "I scream for all you, today."))
    assert times(changed)[3] == ("all", 11.5, 12.0)


def test_a_segment_without_word_times_is_corrected_as_a_whole_only() -> None:
    plain = Segment(0.0, 2.0, "hello world")
    assert after(Change(None, "Hello, world!"), segment=plain) == Segment(0.0, 2.0, "Hello, world!")
    assert after(Change(0, "Hello"), segment=plain) is plain
    assert not is_place(plain, 0)


@pytest.mark.parametrize(("word", "is_there"), [(0, True), (4, True), (5, False), (-1, False)])
def test_only_heard_words_are_places(word: int, is_there: bool) -> None:
    assert is_place(HEARD, word) is is_there


def test_a_script_without_spaces_stays_without() -> None:
    heard = Segment(0.0, 2.0, "東京都", (Word("東", 0.0, 1.0), Word("京", 1.0, 1.5), Word("都", 1.5, 2.0)))
    assert after(Change(2, "府"), segment=heard).text == "東京府"


FRENCH = Segment(
    0.0,
    5.0,
    "Qu'est-ce aujourd'hui\u202f? «\u00a0Oui\u00a0»",
    tuple(Word(text, at, at + 1) for at, text in enumerate(["Qu'est-ce", "aujourd", "'hui", "?", "«", "Oui", "»"])),
)


def test_a_corrected_word_leaves_the_separators_of_the_others_as_they_were() -> None:
    assert after(Change(0, "Est-ce"), segment=FRENCH).text == "Est-ce aujourd'hui\u202f? «\u00a0Oui\u00a0»"
    assert after(Change(5, "Non"), segment=FRENCH).text == "Qu'est-ce aujourd'hui\u202f? «\u00a0Non\u00a0»"


def test_a_deleted_word_takes_one_separator_with_it() -> None:
    assert after(Change(1, ""), Change(2, ""), segment=FRENCH).text == "Qu'est-ce\u202f? «\u00a0Oui\u00a0»".replace(
        "\u202f", " "
    )
    assert after(Change(0, ""), segment=FRENCH).text.startswith("aujourd'hui")


ELIDED = Segment(
    0.0, 4.0, "l'avoir dit-il.", tuple(Word(text, 0.0, 1.0) for text in ["l'", "avoir", "dit", "-il", "."])
)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(0, "de")], "de avoir dit-il."),
        ([(0, "d'")], "d'avoir dit-il."),
        ([(0, "qu\u2019")], "qu\u2019avoir dit-il."),
        ([(1, "être")], "l'être dit-il."),
        ([(1, "")], "l'dit-il."),
        ([(0, "")], "avoir dit-il."),
        ([(0, "de"), (1, "")], "de dit-il."),
        ([(3, "Anne")], "l'avoir dit Anne."),
        ([(3, "-elle")], "l'avoir dit-elle."),
        ([(2, "fait")], "l'avoir fait-il."),
        ([(3, "")], "l'avoir dit."),
        ([(1, ""), (2, ""), (3, "")], "l'."),
    ],
)
def test_a_correction_is_joined_to_its_neighbour_as_long_as_there_is_a_joint(
    changes: list[tuple[int, str]], text: str
) -> None:
    assert after(*(Change(word, said) for word, said in changes), segment=ELIDED).text == text


def test_a_place_says_that_a_correction_took_its_joint() -> None:
    places = places_of(ELIDED, standing([Change(0, "de")]))
    assert [place.separator for place in places] == ["", " ", " ", "", ""]


def test_a_rewritten_segment_without_spaces_keeps_times_for_its_words() -> None:
    heard = Segment(0.0, 3.0, "東京都です。", (Word("東京", 0, 1), Word("都", 1, 2), Word("です。", 2, 3)))
    changed = after(Change(None, "東京府です。"), segment=heard)
    assert changed.text == "東京府です。"
    assert times(changed) == [("東京", 0, 1), ("府", 1, 2), ("です。", 2, 3)]


@pytest.mark.parametrize("text", ["می\u200cخواهم", "👨\u200d👩\u200d👧", "aider\u202f?", "50\u00a0%", "東京\u3000大阪"])  # noqa: RUF001
def test_what_a_person_typed_within_words_is_kept(text: str) -> None:
    assert after(Change(None, text)).text == text


def test_control_characters_become_one_space() -> None:
    assert after(Change(None, "a\n\n00:01 --> 00:02\u2028b\x00c")).text == "a 00:01 --> 00:02 b c"
    assert after(Change(1, "a\nb")).text == "I a b for you, today."


def test_what_stands_is_what_is_read_now() -> None:
    count = standing([Change(1, "stream line")])
    assert what_stands(HEARD, count, 1) == "stream line"
    assert what_stands(HEARD, count, None) == "I stream line for you, today."
