"""What requests of the OpenAI-compatible API mean, and the shapes of their answers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from transcription.domain.openai_answers import NoSpeakers, Stream, answer
from transcription.domain.openai_request import BadParameter, Wanted, wanted_from
from transcription.domain.transcript import Gap, Segment, Transcript, Word

AUTO = ("model", "clustercore/auto")
TRANSCRIPT = Transcript(
    (
        Segment(0.0, 1.0, "Guten Tag", (Word("Guten", 0.0, 0.4, 0.5), Word("Tag", 0.5, 1.0)), "A"),
        Segment(1.5, 2.0, "Hallo", (Word("Hallo", 1.5, 2.0, 1.0),), "B"),
        Segment(2.0, 2.5, "  "),
        Segment(2.5, 3.0, "你好"),
        Segment(3.0, 3.5, "世界"),
    ),
    "de",
    3.2,
)


def wanted(*fields: tuple[str, str], task: str = "transcribe") -> Wanted:
    return wanted_from([AUTO, *fields], task)


def test_lists_may_be_written_with_and_without_brackets() -> None:
    verbose = ("response_format", "verbose_json")
    for name in ("timestamp_granularities[]", "timestamp_granularities"):
        assert wanted(verbose, (name, "word"), (name, "segment")).granularities == {"word", "segment"}
    assert wanted(verbose).granularities == {"segment"}


def test_one_language_decides_and_several_leave_it_to_the_recording() -> None:
    assert wanted(("languages[]", "de")).language == "de"
    assert wanted(("languages[]", "de"), ("languages[]", "en")).language is None
    assert wanted(("language", "fr"), ("languages[]", "de")).language == "fr"


@pytest.mark.parametrize("code", ["deu", "ger", "de-AT", "German"])
def test_the_same_language_in_another_spelling_is_the_same_request(code: str) -> None:
    assert wanted(("language", code)).digest("abc") == wanted(("language", "de")).digest("abc")


def test_a_language_that_is_none_is_refused_by_its_field() -> None:
    with pytest.raises(BadParameter, match=r"^language: 'xx' is no language") as refused:
        wanted(("language", "xx"))
    assert refused.value.name == "language"


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_captions_may_be_asked_for_in_a_layout_of_their_own(kind: str) -> None:
    narrow = wanted(("response_format", kind), ("max_line_width", "5"), ("max_line_count", "1"))
    text, _ = answer(TRANSCRIPT, narrow)
    assert "Guten\n" in text
    assert "Guten Tag" in answer(TRANSCRIPT, wanted(("response_format", kind)))[0]
    assert narrow.digest("abc") == wanted().digest("abc")


@pytest.mark.parametrize(("kind", "value"), [("json", "30"), ("srt", "0"), ("vtt", "wide")])
def test_a_layout_that_cannot_be_had_is_refused_by_its_name(kind: str, value: str) -> None:
    with pytest.raises(BadParameter, match=r"^max_line_width: "):
        wanted(("response_format", kind), ("max_line_width", value))


def test_keywords_are_words_to_expect() -> None:
    assert wanted(("prompt", "Ada"), ("keywords[]", "Otto"), ("keywords[]", "Olga")).prompt == "Ada, Otto, Olga"


@pytest.mark.parametrize(
    ("model", "quality", "engine"),
    [
        ("clustercore/auto", "normal", ""),
        ("whisper-1", "normal", ""),
        ("clustercore/accurate", "best", ""),
        ("vosk:en-small", "normal", "vosk:en-small"),
    ],
)
def test_a_model_is_a_way_of_choosing_or_a_model(model: str, quality: str, engine: str) -> None:
    found = wanted_from([("model", model)], "transcribe")
    assert (found.quality, found.engine) == (quality, engine)


def test_only_what_changes_the_words_makes_another_request() -> None:
    plain = wanted().digest("abc")
    assert wanted(("response_format", "srt"), ("temperature", "0.5"), ("user", "x")).digest("abc") == plain
    assert wanted(("stream", "true"), ("chunking_strategy[type]", "server_vad")).digest("abc") == plain
    others = [
        wanted(("language", "de")),
        wanted(("prompt", "x")),
        wanted(task="translate"),
        wanted_from([("model", "clustercore/accurate")], "transcribe"),
    ]
    digests = {plain, wanted().digest("other"), *(one.digest("abc") for one in others)}
    assert len(digests) == 6


@pytest.mark.parametrize(
    ("field", "text", "named"),
    [
        ("lenguage", "de", "lenguage"),
        ("prompt[]", "x", "prompt[]"),
        ("model", "again", "model"),
        ("temperature", "nan", "temperature"),
        ("temperature", "hot", "temperature"),
        ("stream", "maybe", "stream"),
        ("chunking_strategy", "[" * 10_000, "chunking_strategy"),
        ("chunking_strategy", "none", "chunking_strategy"),
        ("known_speaker_references[]", "data:", "known_speaker_references"),
        ("include[]", "usage", "include[]"),
        ("response_format", "docx", "response_format"),
    ],
)
def test_what_cannot_be_used_is_named(field: str, text: str, named: str) -> None:
    with pytest.raises(BadParameter) as refused:
        wanted((field, text))
    assert refused.value.name == named


def test_a_model_must_be_named() -> None:
    with pytest.raises(BadParameter, match="clustercore/auto"):
        wanted_from([], "transcribe")


def test_who_said_what_where_it_is_known() -> None:
    body, media_type = answer(TRANSCRIPT, wanted(("response_format", "diarized_json")))
    first = json.loads(body)["segments"][0]
    assert media_type == "application/json"
    assert (first["type"], first["id"], first["speaker"]) == ("transcript.text.segment", "seg_0", "A")
    unknown = Transcript((Segment(0.0, 1.0, "Hallo"),), "de", 1.0)
    with pytest.raises(NoSpeakers):
        answer(unknown, wanted(("response_format", "diarized_json")))


def test_a_translation_says_that_it_is_one_and_segments_keep_their_words_to_themselves() -> None:
    body, _ = answer(TRANSCRIPT, wanted(("response_format", "verbose_json"), task="translate"))
    told = json.loads(body)
    assert (told["task"], told["language"], told["duration"]) == ("translate", "de", 3.2)
    assert "words" not in told and "words" not in told["segments"][0]
    assert told["usage"] == {"type": "duration", "seconds": 4}


def test_log_probabilities_are_told_of_words_whose_engine_knows_them() -> None:
    body, _ = answer(TRANSCRIPT, wanted(("include[]", "logprobs")))
    told = json.loads(body)["logprobs"]
    assert [(one["token"], one["logprob"]) for one in told] == [("Guten", -0.693147), ("Hallo", 0.0)]


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5])
def test_the_pieces_of_a_stream_together_are_its_text(cut: int) -> None:
    stream = Stream(wanted(("stream", "true")))
    told = [*stream.segments(TRANSCRIPT.segments[:cut]), *stream.segments(TRANSCRIPT.segments[cut:])]
    assert "".join(one["delta"] for one in told) == TRANSCRIPT.text
    last = stream.done(TRANSCRIPT)
    assert (last["type"], last["text"], last["usage"]["seconds"]) == ("transcript.text.done", TRANSCRIPT.text, 4)


def test_a_stream_of_speakers_tells_segments_too() -> None:
    stream = Stream(wanted(("stream", "true"), ("response_format", "diarized_json")))
    told = list(stream.segments(TRANSCRIPT.segments[:2]))
    assert [one["type"] for one in told] == ["transcript.text.segment", "transcript.text.delta"] * 2
    assert [one["id"] for one in told[::2]] == ["seg_0", "seg_1"]


LACKING = replace(TRANSCRIPT, gaps=(Gap(1.0, 1.5, "could not be heard: it broke"),))


@pytest.mark.parametrize("name", ["json", "verbose_json", "diarized_json"])
def test_an_answer_says_what_is_missing_only_where_something_is(name: str) -> None:
    body, _ = answer(LACKING, wanted(("response_format", name)))
    whole, _ = answer(TRANSCRIPT, wanted(("response_format", name)))
    assert json.loads(body).pop("gaps") == [{"start": 1.0, "end": 1.5, "reason": "could not be heard: it broke"}]
    assert {name: value for name, value in json.loads(body).items() if name != "gaps"} == json.loads(whole)


@pytest.mark.parametrize("name", ["text", "srt", "vtt"])
def test_a_plain_answer_shows_a_gap_in_brackets(name: str) -> None:
    assert "[no text" in answer(LACKING, wanted(("response_format", name)))[0]
    assert "[no text" not in answer(TRANSCRIPT, wanted(("response_format", name)))[0]


def test_a_stream_lists_the_gaps_in_its_last_event_and_its_text_is_that_of_the_pieces_before() -> None:
    stream = Stream(wanted(("stream", "true")))
    told = list(stream.segments(LACKING.segments))
    last = stream.done(LACKING)
    assert "".join(one["delta"] for one in told) == last["text"]
    assert [gap["reason"] for gap in last["gaps"]] == ["could not be heard: it broke"]
