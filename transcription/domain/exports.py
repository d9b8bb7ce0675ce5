"""A transcript in the formats that other programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from transcription.domain.cues import DEFAULT_LAYOUT, Cue, Layout, cues_of
from transcription.domain.transcript import Gap, Segment, Transcript, Word, one_line


@dataclass(frozen=True, slots=True)
class Exporter:
    """How to write one format."""

    render: Callable[[Transcript], str]
    media_type: str
    ending: str
    """Of a file in this format, without its first dot; no other format has it."""
    render_captions: Callable[[Transcript, Layout], str] | None = None
    """Of formats that are captions: the same in another layout."""


def export(transcript: Transcript, format_name: str, layout: Layout = DEFAULT_LAYOUT) -> str:
    """Returns the transcript as text in one of `EXPORTS`; `layout` counts for captions alone.

    Raises KeyError for an unknown format.
    """
    exporter = EXPORTS[format_name]
    return exporter.render_captions(transcript, layout) if exporter.render_captions else exporter.render(transcript)


def as_text(transcript: Transcript) -> str:
    """Plain text; a blank line where nobody speaks for a while, and the name of each person who begins to speak.

    A gap is a paragraph in brackets.
    """
    paragraphs: list[str] = []
    for part in transcript.parts():
        paragraphs += [f"[{part.words}]"] if isinstance(part, Gap) else _named_passages(part)
    return "\n\n".join(paragraphs) + "\n" if paragraphs else ""


def _named_passages(transcript: Transcript) -> Iterator[str]:
    speaking = ""
    for speaker, text in transcript.passages():
        yield f"{speaker}: {text}" if speaker not in ("", speaking) else text
        speaking = speaker


def as_srt(transcript: Transcript, layout: Layout = DEFAULT_LAYOUT) -> str:
    """SubRip captions, with the name of each person who begins to speak; a gap has a caption of its own."""
    return "".join(
        f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{without_commands(cue)}\n\n"
        for number, cue in enumerate(cues_of(transcript, layout, naming=True), 1)
    )


def as_vtt(transcript: Transcript, layout: Layout = DEFAULT_LAYOUT) -> str:
    """WebVTT captions; each says who speaks where that is known. A gap has a caption, and a comment that says more."""
    return "WEBVTT\n\n" + "".join(vtt_cue(cue) for cue in cues_of(transcript, layout))


def vtt_cue(cue: Cue) -> str:
    """One caption of WebVTT, with what is to be said of it before."""
    times = f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}"
    return f"{comment(cue)}{times}\n{voice(cue)}{escaped(chr(10).join(cue.lines))}\n\n"


def as_tsv(transcript: Transcript) -> str:
    """A table: start and end in milliseconds, and text, as Whisper writes it; a gap is a row in brackets."""
    rows: list[str] = []
    for part in transcript.parts():
        if isinstance(part, Gap):
            rows.append(row(part.start, part.end, f"[{part.words}]"))
        else:
            rows += (row(segment.start, segment.end, segment.text) for segment in part.segments)
    return "start\tend\ttext\n" + "".join(rows)


def row(start: float, end: float, text: str) -> str:
    """One line of a table."""
    return f"{milliseconds(start)}\t{milliseconds(end)}\t{without_formula(text)}\n"


def as_json(transcript: Transcript) -> str:
    """The text and its length, in the shape of OpenAI's `json`, with the gaps."""
    return as_document({"text": transcript.text, "gaps": gaps_told(transcript), "usage": usage(transcript)})


def gaps_told(transcript: Transcript) -> list[dict[str, Any]]:
    """Each gap with its times and the reason; an addition of ours to every JSON format."""
    return [{"start": rounded(gap.start), "end": rounded(gap.end), "reason": gap.reason} for gap in transcript.gaps]


def as_verbose_json(transcript: Transcript) -> str:
    """Text, segments and words with their times, in the shape of OpenAI's `verbose_json`."""
    return as_document({**verbose(transcript), "gaps": gaps_told(transcript)})


def verbose(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's `verbose_json` as an object. What no engine here tells is 0 or empty, as the shape requires."""
    return {
        "task": "transcribe",
        "language": transcript.language,
        "duration": rounded(transcript.seconds),
        "text": transcript.text,
        "segments": [verbose_segment(number, segment) for number, segment in enumerate(transcript.segments)],
        "words": [verbose_word(word) for segment in transcript.segments for word in segment.words],
        "usage": usage(transcript),
    }


def verbose_segment(number: int, segment: Segment) -> dict[str, Any]:
    """One segment of `verbose_json`; `words`, and `speaker` where one is known, are additions of ours."""
    told: dict[str, Any] = {
        "id": number,
        "seek": 0,
        "start": rounded(segment.start),
        "end": rounded(segment.end),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 0.0,
        "no_speech_prob": 0.0,
        "words": [verbose_word(word) for word in segment.words],
    }
    return {**told, "speaker": segment.speaker} if segment.speaker else told


def as_diarized_json(transcript: Transcript) -> str:
    """Who said what, in the shape of OpenAI's `diarized_json`."""
    return as_document({**diarized(transcript), "gaps": gaps_told(transcript)})


def diarized(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's `diarized_json` as an object; `speaker` is empty where nobody said who speaks."""
    return {
        "task": "transcribe",
        "duration": rounded(transcript.seconds),
        "text": transcript.text,
        "segments": [diarized_segment(number, segment) for number, segment in enumerate(transcript.segments)],
        "usage": usage(transcript),
    }


def diarized_segment(number: int, segment: Segment) -> dict[str, Any]:
    """One segment of `diarized_json`, as its stream sends them too."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number}",
        "start": rounded(segment.start),
        "end": rounded(segment.end),
        "speaker": segment.speaker,
        "text": segment.text,
    }


def verbose_word(word: Word) -> dict[str, Any]:
    """One word of `verbose_json`; `probability` is an addition of ours."""
    timed: dict[str, Any] = {"word": word.word, "start": rounded(word.start), "end": rounded(word.end)}
    return timed if word.probability is None else {**timed, "probability": round(word.probability, 4)}


def usage(transcript: Transcript) -> dict[str, Any]:
    """What was transcribed, in whole seconds begun."""
    return {"type": "duration", "seconds": -int(-rounded(transcript.seconds) // 1)}


def as_document(value: dict[str, Any]) -> str:
    """Indented JSON in which every script stays readable."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


SUBRIP_COMMANDS = str.maketrans({"{": "(", "}": ")"})
FORMULA_STARTS = tuple(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
_TAG = re.compile(r"<(?=[/!?A-Za-z])")


def without_commands(cue: Cue) -> str:
    """The lines of a caption for SubRip, which cannot escape: an arrow would be taken for a time line, and players
    obey tags in angle brackets and commands in braces."""
    text = "\n".join(cue.lines).replace("-->", "→").translate(SUBRIP_COMMANDS)
    return _TAG.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", text)


def voice(cue: Cue) -> str:
    """WebVTT's tag for the person who speaks; nothing where nobody is known."""
    return f"<v {escaped(' '.join(cue.speaker.split()))}>" if cue.speaker else ""


def comment(cue: Cue) -> str:
    """WebVTT's comment, which players do not show; nothing where there is nothing to be said."""
    return f"NOTE {one_line(cue.note).replace('-->', '→')}\n\n" if cue.note else ""


def escaped(text: str) -> str:
    """A text as WebVTT wants it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def without_formula(text: str) -> str:
    """A cell of a table: one line, which a spreadsheet takes for text even where it looks like a formula."""
    cell = one_line(text)
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def clock(seconds: float, point: str) -> str:
    """`HH:MM:SS` and milliseconds after `point`; hours may have more than two digits."""
    whole, rest = divmod(milliseconds(seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{rest:03d}"


def milliseconds(seconds: float) -> int:
    """Rounded, so that 59.9996 s is the full minute; never negative."""
    return max(0, round(seconds * 1000))


def rounded(seconds: float) -> float:
    """Seconds to the millisecond."""
    return milliseconds(seconds) / 1000


EXPORTS: dict[str, Exporter] = {
    "txt": Exporter(as_text, "text/plain; charset=utf-8", "txt"),
    "srt": Exporter(as_srt, "application/x-subrip; charset=utf-8", "srt", as_srt),
    "vtt": Exporter(as_vtt, "text/vtt; charset=utf-8", "vtt", as_vtt),
    "tsv": Exporter(as_tsv, "text/tab-separated-values; charset=utf-8", "tsv"),
    "json": Exporter(as_json, "application/json", "json"),
    "verbose_json": Exporter(as_verbose_json, "application/json", "verbose.json"),
    "diarized_json": Exporter(as_diarized_json, "application/json", "diarized.json"),
}
"""Every format by the name that users ask for it."""
