"""The reader: a transcript beside its sound, also while it is still being heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.jobs.domain.progress import FINAL_STATES
from clustercore.jobs.selectors.change_fingerprint import activity_now
from clustercore.jobs.selectors.visibility import visible_jobs
from clustercore.jobs.services import actions
from clustercore.jobs.services.control import NotPossible
from clustercore.live.domain.topics import Known, PagePart, Topic
from transcription.domain.language import language_name
from transcription.domain.playing import playable_type
from transcription.domain.sampling import SAMPLE_RATE
from transcription.models import Piece, Recording
from transcription.selectors import Voices, gaps_by_piece, hearing_of, readings_of, voices_of
from transcription.services.permissions import may_change, recording_to_read
from transcription.views.lines import Line, lines_by_piece, short_clock

FORMATS = (
    ("txt", "Text", "to read and to paste"),
    ("srt", "SubRip captions", "for players and video editors"),
    ("vtt", "WebVTT captions", "for the web"),
    ("tsv", "Table", "for spreadsheets"),
    ("json", "JSON", "the text alone"),
    ("verbose_json", "JSON with every word", "times and certainty"),
    ("diarized_json", "JSON by speaker", "who said what"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the recording on the page: what was heard in it, why it is a gap, or that it is to be heard yet."""

    ordinal: int
    start: float
    end: float
    heard: bool
    lines: Sequence[Line] = ()
    gap: str = ""
    begins_gap: bool = False
    """Whether the piece before is no gap, so that what may be done about it is said here."""

    @property
    def span(self) -> str:
        return f"{short_clock(self.start)} to {short_clock(self.end)}"


@require_safe
@never_cache
def read(request: HttpRequest, job_id: int) -> HttpResponse:
    """The whole page."""
    identity = require(request, Permission.VIEW)
    recording = recording_to_read(identity, job_id)
    hearing = hearing_of([job_id])[job_id]
    parts = _parts(recording, hearing)
    spoken = voices_of(recording)
    context = {
        **_segment_context(identity, recording, spoken),
        "job": recording.job,
        "parts": parts,
        "hearing": progress_of(hearing),
        "is_over": recording.job.state in FINAL_STATES,
        "nothing_heard": not any(part.lines for part in parts),
        "media_type": playable_type(recording.container, recording.codec),
        "has_sound": bool(parts),
        "length": short_clock(recording.seconds) if recording.seconds else "",
        "language_name": language_name(recording.job.language or ""),
        "formats": FORMATS,
    }
    return render(request, "transcription/read.html", context)


@require_safe
@never_cache
def piece(request: HttpRequest, job_id: int, ordinal: int) -> HttpResponse:
    """One piece of the page, for a reader that was open before it was heard."""
    identity = require(request, Permission.VIEW)
    recording = recording_to_read(identity, job_id)
    parts = _parts(recording, hearing_of([job_id])[job_id], only=ordinal)
    if not parts:
        raise RequestRefused(404, f"there is no piece {ordinal} of this recording yet")
    context = {**_segment_context(identity, recording, voices_of(recording)), "part": parts[0]}
    context["is_over"] = recording.job.state in FINAL_STATES
    return render(request, "transcription/piece.html", context)


@require_POST
def try_again(request: HttpRequest, job_id: int) -> HttpResponse:
    """Has the gaps heard again, and goes back to the page: its text stays, and what is heard comes to it."""
    identity = require(request, Permission.OPERATE)
    try:
        actions.do(identity, "retry", job_id)
    except NotPossible as reason:
        messages.warning(request, f"Not done: {reason}.")
    return HttpResponseRedirect(reverse("transcription:read", args=[job_id]))


def _segment_context(identity: Identity, recording: Recording, spoken: Voices) -> dict[str, Any]:
    return {
        "recording": recording,
        "may_change": may_change(identity, recording),
        "language": recording.job.language or "",
        "voices": spoken.known,
    }


def _parts(recording: Recording, hearing: Mapping[str, Any], only: int | None = None) -> list[Part]:
    which = Q() if only is None else Q(piece__ordinal=only)
    lines = lines_by_piece(readings_of(recording, which))
    pieces = Piece.objects.filter(recording=recording, **({} if only is None else {"ordinal": only}))
    heard, gaps = set(hearing["heard"]), gaps_by_piece(recording)
    return [
        Part(
            ordinal=ordinal,
            start=start / SAMPLE_RATE,
            end=end / SAMPLE_RATE,
            heard=ordinal in heard,
            lines=lines.get(ordinal, ()),
            gap=gaps.get(ordinal, ""),
            begins_gap=ordinal in gaps and ordinal - 1 not in gaps,
        )
        for ordinal, start, end in pieces.order_by("ordinal").values_list("ordinal", "start_sample", "end_sample")
    ]


def segment_html(request: HttpRequest, identity: Identity, recording: Recording, segment_id: int) -> str:
    """One segment as the page has it now."""
    [reading] = readings_of(recording, Q(pk=segment_id))
    [line] = lines_by_piece([reading])[reading.piece]
    context = {**_segment_context(identity, recording, voices_of(recording)), "line": line}
    return render_to_string("transcription/segment.html", context, request)


def progress_of(hearing: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of how far the hearing is."""
    heard = hearing["heard"]
    return {
        **hearing,
        "heard_count": len(heard),
        "ordinals": ",".join(map(str, heard)),
        "missing": hearing["pieces"] - len(heard),
        "is_over": hearing["state"] in FINAL_STATES,
    }


def may_follow(identity: Identity, key: str) -> bool:
    """Whether somebody may follow how a transcript grows; `key` is its job's id."""
    return key.isascii() and key.isdigit() and visible_jobs(identity).filter(pk=int(key[:18])).exists()


def load_hearing(known: Known) -> dict[str, dict[str, Any]]:
    """The topic `transcript`: how far each is heard."""
    found = hearing_of([int(key) for key in known])
    return {str(job_id): hearing for job_id, hearing in found.items()}


def hearing_state(_key: str, hearing: Mapping[str, Any]) -> Mapping[str, Any]:
    """What programs get that follow it: `state`, `pieces`, `heard` (places of pieces) and `going`."""
    return hearing


def hearing_parts(key: str, hearing: Mapping[str, Any]) -> list[PagePart]:
    """The part of the reader that says how far the hearing is; the page fetches the pieces that it names."""

    def make() -> str:
        context = {"hearing": progress_of(hearing), "job_id": int(key), "live": True}
        return render_to_string("transcription/progress.html", context)

    return [PagePart(id="transcript-progress", of=hearing, make=make)]


HEARING = Topic(
    name="transcript",
    allowed=may_follow,
    load=load_hearing,
    state=hearing_state,
    parts=hearing_parts,
    activity=activity_now,
)
