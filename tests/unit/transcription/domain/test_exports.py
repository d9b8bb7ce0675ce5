from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.fakes.transcription.player import captions
from transcription.domain.cues import CUE_SECONDS, DEFAULT_LAYOUT, cues_of
from transcription.domain.exports import EXPORTS, clock, export
from transcription.domain.gaps import UnheardPiece, gaps_of
from transcription.domain.naming import TEXT_ENDINGS
from transcription.domain.transcript import Gap, Segment, Transcript, Word

OPENING = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"


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
        f"1\n00:00:00,000 --> 00:00:01,250\nHello & {OPENING}b>goodbye{OPENING}/b> → now\n\n"
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
        assert len(cue.lines) <= DEFAULT_LAYOUT.line_count
        assert max(map(len, cue.lines)) <= DEFAULT_LAYOUT.line_width


def test_a_pause_within_a_segment_begins_a_new_caption() -> None:
    first, second = spoken("one two three", 0.0), spoken("four five six", 8.0)
    segment = Segment(0.0, second.end, "one two three four five six", first.words + second.words)
    assert [cue.lines for cue in cues_of(Transcript((segment,)))] == [("one two three",), ("four five six",)]


def test_words_that_do_not_tell_the_whole_text_are_not_used_for_captions() -> None:
    segment = Segment(0.0, 30.0, "a much longer text " * 10, (Word("a", 0.0, 1.0),))
    cues = cues_of(Transcript((segment,)))
    assert " ".join(line for cue in cues for line in cue.lines) == segment.text.strip()
    assert max(len(cue.lines) for cue in cues) <= DEFAULT_LAYOUT.line_count
    assert (cues[0].start, cues[-1].end) == (0.0, 30.0)


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_every_format_can_hold_every_script_and_nothing_at_all(name: str) -> None:
    silent = export(Transcript(()), name)
    assert silent == "" or silent.endswith("\n")
    assert re.search("日本語.*العربية", export(Transcript((spoken("日本語 العربية"),)), name))


TALK = Transcript(
    (
        Segment(0.0, 1.0, "Good morning.", speaker="Ann <script> Lee"),
        Segment(1.0, 2.0, "And to you.", speaker="Ann <script> Lee"),
        Segment(5.0, 6.0, "Hello, Ann.", speaker="B"),
        Segment(6.0, 7.0, "Who is there?"),
    ),
    "en",
    7.0,
)


def test_txt_names_a_person_who_begins_to_speak() -> None:
    assert export(TALK, "txt") == ("Ann <script> Lee: Good morning. And to you.\n\nB: Hello, Ann.\n\nWho is there?\n")


def test_srt_names_a_person_who_begins_to_speak_and_the_name_is_no_command_either() -> None:
    texts = [block.splitlines()[2] for block in export(TALK, "srt").split("\n\n") if block]
    assert texts == [f"Ann {OPENING}script> Lee: Good morning.", "And to you.", "B: Hello, Ann.", "Who is there?"]


def test_srt_counts_the_name_when_it_divides_a_long_segment() -> None:
    segment = spoken(" ".join(f"word{n}" for n in range(40)))
    cues = cues_of(Transcript((replace(segment, speaker="A person with quite a long name"),)), naming=True)
    assert " ".join(line for cue in cues for line in cue.lines) == f"A person with quite a long name: {segment.text}"
    assert max(len(cue.lines) for cue in cues) <= DEFAULT_LAYOUT.line_count


def test_vtt_says_in_each_caption_who_speaks() -> None:
    texts = [block.splitlines()[1] for block in export(TALK, "vtt").split("\n\n")[1:] if block]
    assert texts == [
        "<v Ann &lt;script&gt; Lee>Good morning.",
        "<v Ann &lt;script&gt; Lee>And to you.",
        "<v B>Hello, Ann.",
        "Who is there?",
    ]


def test_verbose_json_has_a_speaker_only_where_one_is_known() -> None:
    segments = json.loads(export(TALK, "verbose_json"))["segments"]
    assert [segment.get("speaker") for segment in segments] == ["Ann <script> Lee", "Ann <script> Lee", "B", None]


def test_diarized_json_has_every_field_that_openai_s_client_requires() -> None:
    document = json.loads(export(TALK, "diarized_json"))
    assert {"task", "duration", "text", "segments"} <= document.keys()
    assert document["segments"][2] == {
        "type": "transcript.text.segment",
        "id": "seg_2",
        "start": 5.0,
        "end": 6.0,
        "speaker": "B",
        "text": "Hello, Ann.",
    }


CUE_TIMES = r"00:00:0[01][.,]\d{3} --> 00:00:0[01][.,]\d{3}"
ATTACKS = [
    "one\n\n00:00:00.000 --> 99:00:00.000 align:start position:0%\nowned",
    "one\u2028\u202800:00:01,000 --> 00:00:02,000\u2029owned",
    "one\r\r7\r00:00:01,000 --> 00:00:02,000\rowned",
    "</v><v Somebody else><script>alert(1)</script>",
    "{\\an8}{\\pos(0,0)}<font size=99>big</font>",
    "NOTE\n\nSTYLE\n::cue { background: url(http://example.org) }",
]


@pytest.mark.parametrize("said", ATTACKS)
@pytest.mark.parametrize("name", ["", *ATTACKS])
def test_whatever_was_said_captions_are_of_plain_text_and_no_others_are_among_them(said: str, name: str) -> None:
    transcript = Transcript((Segment(0.0, 1.0, said, speaker=name),), "en", 1.0)
    for kind in ("srt", "vtt"):
        text = export(transcript, kind).removeprefix("WEBVTT\n\n")
        assert text.endswith("\n\n")
        blocks = text.removesuffix("\n\n").split("\n\n")
        texts = []
        for number, block in enumerate(blocks, 1):
            lines = block.splitlines()
            assert kind == "vtt" or lines.pop(0) == str(number)
            assert re.fullmatch(CUE_TIMES, lines[0])
            assert 1 <= len(lines[1:]) <= DEFAULT_LAYOUT.line_count
            texts += lines[1:]
        shown = "\n".join(texts)
        assert "-->" not in shown
        marks = re.findall(r"<[/!?A-Za-z]", shown)
        assert marks == (["<v"] * len(blocks) if name and kind == "vtt" else [])
        assert kind == "vtt" or not re.search(r"[{}]", shown)


@pytest.mark.parametrize("said", ["=1+1", "+49 30", "-2", "@SUM(A1)", "\t=HYPERLINK(1)", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_a_table_holds_no_formulas(said: str) -> None:
    row = export(Transcript((Segment(0.0, 1.0, said + "\n9\t9\tx"),)), "tsv").splitlines()[1:]
    assert [line.split("\t") for line in row] == [["0", "1000", "'" + said.strip() + " 9 9 x"]]


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(KeyError):
        export(HELLO, "docx")


def test_no_two_formats_are_taken_away_under_one_name() -> None:
    endings = [exporter.ending for exporter in EXPORTS.values()]
    assert len(set(endings)) == len(endings)
    assert all(ending.rpartition(".")[2] in TEXT_ENDINGS for ending in endings)


LACKING = Transcript(
    (Segment(0.0, 2.0, "Hello there.", speaker="Ann"), Segment(112.0, 114.0, "Good bye.", speaker="Ann")),
    "en",
    120.0,
    (Gap(80.0, 110.0, "could not be heard: it broke --> twice"), Gap(115.0, 120.0, "was skipped")),
)


def test_txt_has_a_paragraph_for_each_gap_and_names_anew_who_speaks_after_it() -> None:
    assert export(LACKING, "txt") == (
        "Ann: Hello there.\n\n[no text from 1:20 to 1:50: could not be heard: it broke --> twice]\n\n"
        "Ann: Good bye.\n\n[no text from 1:55 to 2:00: was skipped]\n"
    )


def test_srt_shows_a_caption_as_long_as_the_gap() -> None:
    assert export(LACKING, "srt").split("\n\n")[1:4] == [
        "2\n00:01:20,000 --> 00:01:50,000\n[no text: could not be heard]",
        "3\n00:01:52,000 --> 00:01:54,000\nAnn: Good bye.",
        "4\n00:01:55,000 --> 00:02:00,000\n[no text: was skipped]",
    ]


def test_vtt_says_the_reason_in_a_comment_before_the_caption() -> None:
    assert export(LACKING, "vtt").split("\n\n")[2:4] == [
        "NOTE no text from 1:20 to 1:50: could not be heard: it broke → twice",
        "00:01:20.000 --> 00:01:50.000\n[no text: could not be heard]",
    ]


def test_tsv_has_a_row_for_each_gap_in_its_place() -> None:
    rows = [line.split("\t") for line in export(LACKING, "tsv").splitlines()]
    assert [row[:2] for row in rows[1:]] == [
        ["0", "2000"],
        ["80000", "110000"],
        ["112000", "114000"],
        ["115000", "120000"],
    ]
    assert rows[2][2] == "[no text from 1:20 to 1:50: could not be heard: it broke --> twice]"


@pytest.mark.parametrize("name", ["json", "verbose_json", "diarized_json"])
def test_json_lists_the_gaps_and_leaves_all_else_as_it_is(name: str) -> None:
    told, whole = json.loads(export(LACKING, name)), json.loads(export(replace(LACKING, gaps=()), name))
    assert told.pop("gaps") == [
        {"start": 80.0, "end": 110.0, "reason": "could not be heard: it broke --> twice"},
        {"start": 115.0, "end": 120.0, "reason": "was skipped"},
    ]
    assert whole.pop("gaps") == []
    assert told == whole


@pytest.mark.parametrize(("kind", "reader"), [("srt", "srt"), ("vtt", "webvtt")])
def test_a_player_reads_captions_with_gaps(kind: str, reader: str) -> None:
    shown = captions(export(LACKING, kind), reader)
    assert [caption[:2] for caption in shown] == [(0.0, 2.0), (80.0, 110.0), (112.0, 114.0), (115.0, 120.0)]
    assert shown[1][2] == "[no text: could not be heard]"


@pytest.mark.parametrize("said", ATTACKS)
def test_whatever_an_error_says_it_makes_no_caption_and_no_row_of_its_own(said: str) -> None:
    transcript = Transcript((), "en", 1.0, gaps_of([UnheardPiece(0, 16_000, "failed", said)]))
    vtt = export(transcript, "vtt").removeprefix("WEBVTT\n\n").removesuffix("\n\n").split("\n\n")
    assert [block.splitlines()[0][:5] for block in vtt] == ["NOTE ", "00:00"]
    assert "-->" not in vtt[0] and len(vtt[0].splitlines()) == 1
    assert [vtt[1].splitlines()[1]] == export(transcript, "srt").splitlines()[2:3] == ["[no text: could not be heard]"]
    assert len(export(transcript, "tsv").splitlines()) == 2
    assert len(export(transcript, "txt").splitlines()) == 1
