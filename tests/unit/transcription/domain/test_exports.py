from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest

from transcription.domain.cues import CUE_LINES, CUE_SECONDS, LINE_CHARACTERS, cues_of
from transcription.domain.exports import EXPORTS, clock, export
from transcription.domain.transcript import Segment, Transcript, Word


def spoken(text: str, start: float = 0.0, pace: float = 0.4) -> Segment:
    words = text.split()
    timed = tuple(Word(word, start + n * pace, start + n * pace + pace * 0.9) for n, word in enumerate(words))
    return Segment(start, timed[-1].end, text, timed)


HELLO = Transcript(
    (
        Segment(0.0, 1.25, "Hello & <b>goodbye</b> --> now", (Word("Hello", 0.0, 0.5, 0.91234567),)),
        Segment(61.5, 3725.9996, "second\tline"),
    ),
    "en",
    3726.2,
)


def test_srt_is_written_as_players_read_it() -> None:
    assert export(HELLO, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,250\nHello & <b>goodbye</b> → now\n\n"
        "2\n00:01:01,500 --> 01:02:06,000\nsecond line\n\n"
    )


def test_vtt_escapes_what_it_would_take_for_markup() -> None:
    assert export(HELLO, "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nHello &amp; &lt;b&gt;goodbye&lt;/b&gt; --&gt; now\n\n"
        "00:01:01.500 --> 01:02:06.000\nsecond line\n\n"
    )


def test_tsv_keeps_one_segment_a_line() -> None:
    assert export(HELLO, "tsv").splitlines() == [
        "start\tend\ttext",
        "0\t1250\tHello & <b>goodbye</b> --> now",
        "61500\t3726000\tsecond line",
    ]


def test_txt_begins_a_paragraph_after_a_silence() -> None:
    assert export(HELLO, "txt") == "Hello & <b>goodbye</b> --> now\n\nsecond line\n"


def test_json_tells_text_and_length_rounded_up_to_whole_seconds() -> None:
    assert json.loads(export(HELLO, "json"))["usage"] == {"type": "duration", "seconds": 3727}


def test_verbose_json_has_every_field_that_openai_s_client_requires() -> None:
    document = json.loads(export(HELLO, "verbose_json"))
    assert {"task", "language", "duration", "text", "segments", "words", "usage"} <= document.keys()
    measures = {"tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"}
    assert measures | {"id", "seek", "start", "end", "text"} <= document["segments"][1].keys()
    assert document["words"] == [{"word": "Hello", "start": 0.0, "end": 0.5, "probability": 0.9123}]
    assert document["segments"][1]["end"] == 3726.0


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3599.9994, "00:59:59.999"),
        (1.0005, "00:00:01.000"),
        (360_000.5, "100:00:00.500"),
        (-0.2, "00:00:00.000"),
    ],
)
def test_times_are_rounded_and_carried(seconds: float, written: str) -> None:
    assert clock(seconds, ".") == written


def test_a_long_segment_becomes_readable_captions_that_lose_no_word() -> None:
    text = " ".join(f"word{n}{'.' if n % 9 == 8 else ''}" for n in range(80))
    cues = cues_of(Transcript((spoken(text),)))
    assert " ".join(line for cue in cues for line in cue.lines) == text
    for earlier, later in pairwise(cues):
        assert earlier.end <= later.start
    for cue in cues:
        assert cue.end - cue.start <= CUE_SECONDS
        assert len(cue.lines) <= CUE_LINES
        assert max(map(len, cue.lines)) <= LINE_CHARACTERS


def test_a_pause_within_a_segment_begins_a_new_caption() -> None:
    first, second = spoken("one two three", 0.0), spoken("four five six", 8.0)
    segment = Segment(0.0, second.end, "one two three four five six", first.words + second.words)
    assert [cue.lines for cue in cues_of(Transcript((segment,)))] == [("one two three",), ("four five six",)]


def test_words_that_do_not_tell_the_whole_text_are_not_used_for_captions() -> None:
    segment = Segment(0.0, 30.0, "a much longer text " * 10, (Word("a", 0.0, 1.0),))
    [cue] = cues_of(Transcript((segment,)))
    assert " ".join(cue.lines) == segment.text.strip()


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_every_format_can_hold_every_script_and_nothing_at_all(name: str) -> None:
    silent = export(Transcript(()), name)
    assert silent == "" or silent.endswith("\n")
    assert re.search("日本語.*العربية", export(Transcript((spoken("日本語 العربية"),)), name))


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(KeyError):
        export(HELLO, "docx")
