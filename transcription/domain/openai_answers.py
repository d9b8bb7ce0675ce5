"""Transcripts in the shapes that clients of the OpenAI API read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from transcription.domain.exports import (
    as_srt,
    as_text,
    as_vtt,
    diarized,
    diarized_segment,
    gaps_told,
    rounded,
    usage,
    verbose_segment,
    verbose_word,
)
from transcription.domain.openai_request import Wanted
from transcription.domain.transcript import Segment, Transcript, Word, one_line, spaced

JSON, PLAIN = "application/json", "text/plain; charset=utf-8"


class NoSpeakers(ValueError):
    """Who speaks was asked for, and nobody said."""


def answer(transcript: Transcript, wanted: Wanted) -> tuple[str, str]:
    """The body and its media type. Raises NoSpeakers."""
    match wanted.format:
        case "text":
            return (as_text(transcript) if transcript.gaps else transcript.text + "\n"), PLAIN
        case "srt":
            return as_srt(transcript, wanted.layout), PLAIN
        case "vtt":
            return as_vtt(transcript, wanted.layout), PLAIN
        case "verbose_json":
            return _document(_verbose(transcript, wanted)), JSON
        case "diarized_json":
            refuse_without_speakers(transcript)
            return _document({**diarized(transcript), **_missing(transcript)}), JSON
    return _document(_plain(transcript, wanted)), JSON


def refuse_without_speakers(transcript: Transcript) -> None:
    """Raises NoSpeakers unless somebody is known to speak."""
    if transcript.segments and not any(segment.speaker for segment in transcript.segments):
        raise NoSpeakers(
            "response_format: no engine that heard this tells who speaks; ask for verbose_json, or use another model"
        )


def _missing(transcript: Transcript) -> dict[str, Any]:
    """A field of ours, there only where something is missing: an answer that is whole is as OpenAI's."""
    return {"gaps": gaps_told(transcript)} if transcript.gaps else {}


def _plain(transcript: Transcript, wanted: Wanted) -> dict[str, Any]:
    told: dict[str, Any] = {"text": transcript.text}
    if wanted.logprobs:
        told["logprobs"] = _logprobs(transcript.segments)
    return {**told, **_missing(transcript), "usage": usage(transcript)}


def _verbose(transcript: Transcript, wanted: Wanted) -> dict[str, Any]:
    told: dict[str, Any] = {
        "task": wanted.task,
        "language": transcript.language,
        "duration": rounded(transcript.seconds),
        "text": transcript.text,
    }
    if "segment" in wanted.granularities:
        told["segments"] = [_segment(number, segment) for number, segment in enumerate(transcript.segments)]
    if "word" in wanted.granularities:
        told["words"] = [verbose_word(word) for segment in transcript.segments for word in segment.words]
    return {**told, **_missing(transcript), "usage": usage(transcript)}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    return {name: value for name, value in verbose_segment(number, segment).items() if name != "words"}


def _logprobs(segments: tuple[Segment, ...]) -> list[dict[str, Any]]:
    """One entry a word, where the engine told how sure it was: engines here tell it of words, not of tokens."""
    words = (word for segment in segments for word in segment.words)
    return [_logprob(word, word.probability) for word in words if word.probability]


def _logprob(word: Word, probability: float) -> dict[str, Any]:
    return {"token": word.word, "bytes": list(word.word.encode()), "logprob": round(math.log(probability), 6)}


class Stream:
    """The events of a transcript that grows at its end; the deltas together are its text."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._last = ""
        self._count = 0

    def segments(self, segments: tuple[Segment, ...]) -> Iterator[Mapping[str, Any]]:
        """The events of segments that follow the ones before."""
        for segment in segments:
            if self._wanted.format == "diarized_json":
                yield diarized_segment(self._count, segment)
            self._count += 1
            piece = one_line(segment.text)
            if piece:
                delta = f" {piece}" if self._last and spaced(self._last, piece) else piece
                self._last = piece
                told: dict[str, Any] = {"type": "transcript.text.delta", "delta": delta}
                yield {**told, "logprobs": _logprobs((segment,))} if self._wanted.logprobs else told

    def done(self, transcript: Transcript) -> Mapping[str, Any]:
        """The last event."""
        told: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
        if self._wanted.logprobs:
            told["logprobs"] = _logprobs(transcript.segments)
        return {**told, **_missing(transcript), "usage": usage(transcript)}


def event(document: Mapping[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n"


def _document(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
