"""Captions: in order, never over one another, long enough to be seen, no word alone where it can be helped."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.domain.cues import INSTANT, SHORTEST_SECONDS, Cue, Layout, LayoutRefused, cues_of, layout_from
from transcription.domain.line_breaking import width
from transcription.domain.merge import HeardPiece, merge
from transcription.domain.transcript import Gap, Segment, Transcript, Word

FRENCH = [
    " Merci", " d'avoir", " appelé", " la", " Banque,", " comment", " puis-je", " vous", " aider",
    " aujourd'hui", "\u202f?", " «\u00a0C'est", " l'heure\u00a0»", " d'ouvrir", " un", " compte", " d'épargne.",
]  # fmt: skip


def said(words: list[str], start: float = 0.0, pace: float = 0.4, speaker: str = "") -> Segment:
    timed = tuple(Word(word.strip(), start + n * pace, start + (n + 1) * pace) for n, word in enumerate(words))
    return Segment(start, start + len(words) * pace, "".join(words).strip(), timed, speaker)


def spoken(text: str, start: float = 0.0, pace: float = 0.4, speaker: str = "") -> Segment:
    return said([f" {word}" for word in text.split()], start, pace, speaker)


def told(cues: list[Cue], between: str = " ") -> str:
    return between.join(line for cue in cues for line in cue.lines)


def test_captions_have_the_separators_of_the_text() -> None:
    cues = cues_of(Transcript((said(FRENCH),), "fr", 10.0))
    assert told(cues) == "".join(FRENCH).strip()
    assert len(cues) > 1


def test_words_of_scripts_without_spaces_stay_without_and_latin_ones_among_them_as_they_were() -> None:
    words = ["今日", "は", "Python", "の", "話", "です", "。"] * 8
    cues = cues_of(Transcript((said(words),), "ja", 30.0))
    assert told(cues, "") == "".join(words)
    assert len(cues) > 1


def test_no_word_is_left_alone_in_the_last_caption() -> None:
    text = "the washing machine had a serial number on its back and I could not read the whole of that number"
    cues = cues_of(Transcript((spoken(text, pace=0.25),), "en", 10.0))
    assert told(cues) == text
    assert min(len(" ".join(cue.lines).split()) for cue in cues) > 4


def test_a_short_word_joins_its_neighbour_and_the_space_between_them_is_kept() -> None:
    segments = (spoken("I did not see it", 0.0), spoken("then", 2.1, 0.3), spoken("and now I do", 2.5))
    [cue] = cues_of(Transcript(segments, "en", 5.0))
    assert (cue.start, cue.end, cue.lines) == (0.0, 4.1, ("I did not see it then and now I do",))


def test_a_short_word_of_another_person_keeps_its_own_caption() -> None:
    segments = (spoken("Do you see it now?", 0.0, speaker="A"), spoken("Yes.", 2.1, 0.3, speaker="B"))
    assert [cue.speaker for cue in cues_of(Transcript(segments, "en", 5.0))] == ["A", "B"]


def test_a_caption_is_shown_for_as_long_as_it_takes_to_be_seen_where_there_is_room() -> None:
    [cue] = cues_of(Transcript((spoken("Yes.", 5.0, 0.2),), "en", 20.0))
    assert (cue.start, cue.end) == (5.0, 5.8)


def test_at_the_end_of_a_recording_a_short_caption_begins_earlier() -> None:
    late = {"start": 10.4, "end": 11.2, "text": "Goodbye."}
    piece = HeardPiece(0, 160_000, [{"start": 2.0, "end": 4.0, "text": "Hello there."}, late])
    assert [(cue.start, cue.end) for cue in cues_of(merge([piece], "en"))] == [(2.0, 4.0), (9.2, 10.0)]


def test_captions_without_any_room_still_have_a_length() -> None:
    segments = tuple(Segment(3.0, 3.0, f"{name} says something") for name in ("one", "two", "three"))
    cues = cues_of(Transcript((Segment(0.0, 3.0, "All the time before"), *segments), "en", 3.0))
    assert told(cues).count("says something") == 3
    assert all(cue.end - cue.start >= INSTANT * 0.99 for cue in cues)


def test_a_word_whose_time_is_out_of_order_leaves_the_text_in_its_order() -> None:
    early, late = spoken("here is what was said at first", 4.0), spoken("and here is the rest of it", 8.0)
    odd = Segment(4.0, 11.0, f"{early.text} {late.text}", (Word("here", 9.5, 9.9), *early.words[1:], *late.words))
    cues = cues_of(Transcript((odd,), "en", 20.0), Layout(20, 1))
    assert told(cues) == odd.text
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))
    assert cues[0].start < 5.0


def test_words_over_one_another_give_captions_one_after_another() -> None:
    segments = (spoken("this goes on for a long while", 0.0, speaker="A"), spoken("and this too", 1.0, speaker="B"))
    first, second = cues_of(Transcript(segments, "en", 5.0))
    assert first.end <= second.start


@pytest.mark.parametrize("text", ["你要说印度那可真是个奇葩的国家" * 12, "word " * 120])
def test_a_long_text_without_word_times_is_divided_and_shares_its_time(text: str) -> None:
    cues = cues_of(Transcript((Segment(0.0, 60.0, text.strip()),), "", 60.0))
    assert max(len(cue.lines) for cue in cues) <= 2
    assert (cues[0].start, cues[-1].end) == (0.0, 60.0)
    assert told(cues, "").replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(("columns", "lines"), [(20, 1), (32, 2), (12, 3)])
def test_a_layout_sets_the_width_and_the_number_of_lines(columns: int, lines: int) -> None:
    text = "how much a caption holds is for those to say who have to read it on their own screens"
    cues = cues_of(Transcript((spoken(text),), "en", 10.0), Layout(columns, lines))
    assert told(cues) == text
    assert max(width(line) for cue in cues for line in cue.lines) <= columns
    assert max(len(cue.lines) for cue in cues) <= lines


@pytest.mark.parametrize("value", [0, "-1", "a", "1.5", "1001", "9" * 9, "²"])
@pytest.mark.parametrize("name", ["max_line_width", "max_line_count"])
def test_a_layout_that_no_caption_can_have_is_refused_by_its_name(name: str, value: str | int) -> None:
    with pytest.raises(LayoutRefused, match="is not a whole number") as refused:
        layout_from({name: value})
    assert refused.value.name == name


def test_what_is_not_said_of_a_layout_is_as_by_default() -> None:
    assert layout_from({}) == layout_from({"max_line_width": "", "max_line_count": None}) == Layout(42, 2)
    assert layout_from({"max_line_width": 30}) == Layout(30, 2)


words = st.sampled_from(
    ["a", "Yes.", "no,", "日本", "の。", "internationalisation", "«", "?", "👨\u200d👩\u200d👧", "ก็"]
)
moments = st.floats(0, 60, allow_nan=False)
heard = st.tuples(
    moments, moments, st.lists(words, min_size=1, max_size=25), st.sampled_from(["", "A", "B"]), st.booleans()
)


@given(st.lists(heard, max_size=8), st.sampled_from([Layout(), Layout(10, 1)]), st.booleans())
def test_whatever_was_heard_captions_are_valid_in_order_and_tell_all_of_it(
    segments: list[tuple[float, float, list[str], str, bool]], layout: Layout, naming: bool
) -> None:
    found, at = [], 0.0
    for start, end, texts, speaker, timed in segments:
        at = max(at, start)
        one = said([f" {text}" for text in texts], at, max(0.0, end - at) / len(texts), speaker)
        found.append(one if timed else Segment(one.start, one.end, one.text, (), speaker))
        at = one.end
    cues = cues_of(Transcript(tuple(found), "", 100.0), layout)
    assert all(cue.start < cue.end for cue in cues)
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))
    assert all(width(line) <= layout.line_width for cue in cues for line in cue.lines)
    assert all(1 <= len(cue.lines) <= layout.line_count for cue in cues)
    assert "".join(told(cues, "").split()) == "".join("".join(one.text for one in found).split())
    named = cues_of(Transcript(tuple(found), "", 100.0), layout, naming=naming)
    assert all(1 <= len(cue.lines) <= layout.line_count for cue in named)
    for cue, later in pairwise(cues):
        assert cue.end - cue.start >= SHORTEST_SECONDS - 0.002 or later.start - cue.end < SHORTEST_SECONDS


@pytest.mark.parametrize(("pace", "longest"), [(1.0, 21), (0.001, 300)])
def test_a_caption_is_never_far_too_long_however_much_its_lines_hold(pace: float, longest: int) -> None:
    cues = cues_of(Transcript((spoken("a " * 2000, pace=pace),), "en", 2000.0), Layout(200, 5))
    assert told(cues) == ("a " * 2000).strip()
    assert max(len(" ".join(cue.lines).split()) for cue in cues) <= longest


def test_no_wider_layout_than_a_screen_is_taken() -> None:
    assert layout_from({"max_line_width": "200", "max_line_count": 5}) == Layout(200, 5)
    for refused in ({"max_line_width": 201}, {"max_line_count": 6}):
        with pytest.raises(LayoutRefused):
            layout_from(refused)


def test_a_gap_stands_in_a_caption_of_its_own_even_between_words_that_belong_together() -> None:
    transcript = Transcript(
        (spoken("Yes.", 3.8, 0.2), spoken("No.", 4.4, 0.2)), "en", 9.0, (Gap(4.0, 4.4, "was skipped"),)
    )
    cues = cues_of(transcript)
    assert [cue.lines for cue in cues] == [("Yes.",), ("[no text: was skipped]",), ("No.",)]
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))


@pytest.mark.parametrize("layout", [Layout(4, 1), Layout(6, 2), Layout(20, 1)])
def test_a_narrow_layout_divides_the_words_of_a_gap_and_notes_it_once(layout: Layout) -> None:
    gap = Gap(10.0, 40.0, "could not be heard: it broke")
    cues = cues_of(Transcript((), "en", 50.0, (gap,)), layout)
    assert told(cues, "").replace(" ", "") == "[notext:couldnotbeheard]"
    assert (cues[0].start, cues[-1].end) == (10.0, 40.0)
    assert max(len(cue.lines) for cue in cues) <= layout.line_count
    assert [cue.note for cue in cues if cue.note] == [gap.words]
