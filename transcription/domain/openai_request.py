"""What a request of the OpenAI-compatible API asks for: every parameter is used, known to be harmless, or refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from transcription.domain.cues import DEFAULT_LAYOUT, Layout, LayoutRefused, layout_from
from transcription.domain.language import parse_language
from transcription.domain.speech_task import Task

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
CAPTIONS = ("srt", "vtt")
STREAMED_FORMATS = ("json", "text", "diarized_json")
GRANULARITIES = ("segment", "word")
AUTO, ACCURATE, WHISPER = "clustercore/auto", "clustercore/accurate", "whisper-1"
BEHAVIOURS: Mapping[str, str] = {AUTO: "normal", ACCURATE: "best", WHISPER: "normal"}
"""Models that are a way of choosing rather than a model, and the quality that each stands for."""

_LISTS = {
    "timestamp_granularities",
    "include",
    "languages",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
}
_LAYOUT = ("max_line_width", "max_line_count")
_SINGLE = {
    "model", "language", "prompt", "response_format", "temperature", "stream", "chunking_strategy", "user", *_LAYOUT,
}  # fmt: skip
_TRUE, _FALSE = {"true", "1"}, {"false", "0", ""}


class BadParameter(ValueError):
    """A parameter that cannot be used; `name` says which, the message what to send instead."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request that can be served, as far as its words tell."""

    task: str
    model: str
    language: str | None = None
    prompt: str = ""
    format: str = "json"
    granularities: frozenset[str] = frozenset({"segment"})
    stream: bool = False
    logprobs: bool = False
    layout: Layout = DEFAULT_LAYOUT

    @property
    def quality(self) -> str:
        return BEHAVIOURS.get(self.model, "normal")

    @property
    def engine(self) -> str:
        """`engine:model` where one was named; empty where the cluster chooses."""
        return "" if self.model in BEHAVIOURS else self.model

    def digest(self, content: str) -> str:
        """The same for two requests that hear the same bytes (by their hash) in the same way, whatever the format."""
        heard = [content, self.task, self.quality, self.engine, self.language, self.prompt]
        return hashlib.sha256(json.dumps(heard).encode()).hexdigest()


def wanted_from(fields: Iterable[tuple[str, str]], task: str) -> Wanted:
    """Reads the fields of a form. Raises BadParameter."""
    single, lists = _sorted_out(fields)
    if not single.get("model"):
        raise BadParameter("model", f"is missing: {AUTO!r}, {ACCURATE!r}, or a name that GET /v1/models lists")
    for name in ("known_speaker_names", "known_speaker_references"):
        if lists.get(name):
            raise BadParameter(name, "no engine here knows people by their voices; leave it out")
    _check_temperature(single.get("temperature", "0"))
    _check_chunking(single.get("chunking_strategy", "auto"))
    wanted = Wanted(
        task=task,
        model=single["model"],
        language=_language(single.get("language") or _only(lists.get("languages", ()))),
        prompt=", ".join(text for text in (single.get("prompt", ""), *lists.get("keywords", ())) if text),
        format=_choice("response_format", single.get("response_format") or "json", FORMATS),
        granularities=_granularities(lists.get("timestamp_granularities", ())),
        stream=_flag("stream", single.get("stream", "false")),
        logprobs=bool([_choice("include[]", name, ("logprobs",)) for name in lists.get("include", ())]),
        layout=_layout(single),
    )
    if wanted.format not in CAPTIONS and (given := [name for name in _LAYOUT if single.get(name)]):
        raise BadParameter(given[0], f"needs response_format={' or '.join(CAPTIONS)}")
    _check_together(wanted, lists)
    return wanted


def _sorted_out(fields: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    single: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for field, text in fields:
        # Clients write lists as `name[]`, and some as plain `name`; objects as `name[key]`.
        name = field.partition("[")[0]
        if name in _LISTS:
            lists.setdefault(name, []).append(text)
        elif name == "chunking_strategy" and field != name:
            single.setdefault(name, "{}")
        elif name in _SINGLE and field == name:
            if name in single:
                raise BadParameter(name, "was sent twice; send it once")
            single[name] = text
        else:
            known = ", ".join(sorted(("file", *_SINGLE, *(f"{name}[]" for name in _LISTS))))
            raise BadParameter(field[:60], f"is not known here; these are: {known}")
    return single, lists


def _check_together(wanted: Wanted, lists: Mapping[str, Sequence[str]]) -> None:
    if lists.get("timestamp_granularities") and wanted.format != "verbose_json":
        raise BadParameter("timestamp_granularities[]", "needs response_format=verbose_json")
    if wanted.logprobs and wanted.format != "json":
        raise BadParameter("include[]", "logprobs needs response_format=json")
    if wanted.stream and wanted.format not in STREAMED_FORMATS:
        raise BadParameter(
            "stream", f"gives events, which response_format={wanted.format} cannot be: leave one of them out"
        )
    if wanted.task == Task.TRANSLATE and wanted.format == "diarized_json":
        raise BadParameter("response_format", "a translation does not tell who speaks: ask for verbose_json")


def _language(text: str | None) -> str | None:
    try:
        return parse_language(text)
    except ValueError as error:
        raise BadParameter("language", str(error)) from None


def _layout(single: Mapping[str, str]) -> Layout:
    try:
        return layout_from(single)
    except LayoutRefused as error:
        raise BadParameter(error.name, str(error)) from None


def _only(texts: Sequence[str]) -> str | None:
    """Several languages leave the choice to the recording."""
    return texts[0] if len(texts) == 1 else None


def _choice(name: str, text: str, allowed: Sequence[str]) -> str:
    if text not in allowed:
        raise BadParameter(name, f"{text[:60]!r} is not one of {', '.join(allowed)}")
    return text


def _granularities(texts: Sequence[str]) -> frozenset[str]:
    chosen = frozenset(_choice("timestamp_granularities[]", text, GRANULARITIES) for text in texts)
    return chosen or frozenset({"segment"})


def _flag(name: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise BadParameter(name, f"{text[:60]!r} is neither true nor false")
    return text.lower() in _TRUE


def _check_temperature(text: str) -> None:
    """Accepted and not used: decoding here is deterministic, so that every attempt gives the same words."""
    try:
        fits = 0.0 <= float(text or "0") <= 1.0
    except ValueError:
        fits = False
    if not fits:
        raise BadParameter("temperature", f"{text[:60]!r} is not a number from 0 to 1")


def _check_chunking(text: str) -> None:
    """Accepted and not used: recordings are cut at pauses, in lengths that suit the machines there are."""
    try:
        fits = text in ("", "auto") or isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        fits = False
    if not fits:
        raise BadParameter("chunking_strategy", 'is \'auto\' or an object such as {"type": "server_vad"}')
