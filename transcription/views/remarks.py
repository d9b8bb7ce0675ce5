"""Correcting: small forms that the reader opens beside a word, and that are pages of their own without scripts."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from clustercore.access.domain.errors import NotFound
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.jobs.domain.job_request import InvalidRequest
from transcription.domain.corrections import is_place, what_stands
from transcription.models import Correction, Segment, SpeakerTurn
from transcription.selectors import heard_segment, standing_of, voices_of
from transcription.services.permissions import recording_to_change, segment_of
from transcription.services.remarks import (
    Where,
    correct,
    name_speaker,
    say_speaker,
    undo_correction,
    undo_speaker,
)
from transcription.views.lines import short_clock
from transcription.views.reading import segment_html

NEW_SPEAKER = "new"


class NoSuchWord(NotFound):
    """A segment has no such word that can be corrected by itself."""

    code = None


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def correction(request: HttpRequest, job_id: int, segment_id: int) -> HttpResponse:
    """The form for a word (`?word=`) or a whole segment; a POST keeps its text, or undoes the last one."""
    identity, segment = _to_change(request, job_id, segment_id)
    where = _where(request, segment)
    if request.method != "POST":
        return _correction_form(request, where)
    try:
        if "undo" in request.POST:
            undo_correction(identity, where)
        else:
            correct(identity, where, "" if "delete" in request.POST else request.POST.get("text", ""))
    except InvalidRequest as error:
        return _correction_form(request, where, error=error, status=422)
    return _changed(request, identity, where.segment)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def speaker(request: HttpRequest, job_id: int, segment_id: int) -> HttpResponse:
    """The form for who speaks from a segment on; a POST keeps it, or undoes what was said there last."""
    identity, segment = _to_change(request, job_id, segment_id)
    if request.method != "POST":
        return _speaker_form(request, segment)
    label = request.POST.get("label", "")
    try:
        if "undo" in request.POST:
            undo_speaker(identity, segment)
        else:
            alone = request.POST.get("extent") == "alone"
            new, name = label == NEW_SPEAKER, request.POST.get("name", "")
            say_speaker(identity, segment, None if new else label, name=name, alone=alone)
    except InvalidRequest as error:
        return _speaker_form(request, segment, error=error, status=422)
    return _voices(request, segment)


@require_POST
@never_cache
def rename(request: HttpRequest, job_id: int, segment_id: int) -> HttpResponse:
    """What the speaker of a segment is called in all segments."""
    identity, segment = _to_change(request, job_id, segment_id)
    try:
        name_speaker(identity, segment.recording, request.POST.get("label", ""), request.POST.get("called", ""))
    except InvalidRequest as error:
        return _speaker_form(request, segment, error=error, status=422)
    return _voices(request, segment)


def _to_change(request: HttpRequest, job_id: int, segment_id: int) -> tuple[Identity, Segment]:
    """Who asks, and the segment that they may change. Raises NotFound, NotYours."""
    identity = require(request, Permission.VIEW)
    return identity, segment_of(recording_to_change(identity, job_id), segment_id)


def _where(request: HttpRequest, segment: Segment) -> Where:
    word = request.POST.get("word", request.GET.get("word", ""))
    if word == "":
        return Where(segment)
    if not (word.isascii() and word.isdigit() and len(word) < 7 and is_place(heard_segment(segment), int(word))):
        raise NoSuchWord(f"segment {segment.pk} has no word {word[:20]!r} that can be corrected by itself")
    return Where(segment, int(word))


def _correction_form(
    request: HttpRequest, where: Where, *, error: InvalidRequest | None = None, status: int = 200
) -> HttpResponse:
    heard, count = heard_segment(where.segment), standing_of(where.segment)
    if where.word is not None and count.whole is not None:
        where = Where(where.segment)
    story = Correction.objects.filter(segment=where.segment, word=where.word).order_by("-pk")
    context = {
        "where": where,
        "heard": heard.text if where.word is None else heard.words[where.word].word,
        "text": what_stands(heard, count, where.word) if error is None else request.POST.get("text", ""),
        "story": story[:20],
        "can_undo": story.filter(withdrawn=None).exists(),
        "error": error,
        "clock": short_clock(heard.start if where.word is None else heard.words[where.word].start),
        "is_whole": where.word is None,
    }
    return _form(request, "transcription/correct.html", where.segment, context, status)


def _speaker_form(
    request: HttpRequest, segment: Segment, *, error: InvalidRequest | None = None, status: int = 200
) -> HttpResponse:
    spoken = voices_of(segment.recording)
    label = spoken.labels.get(segment.pk, "")
    said = SpeakerTurn.objects.filter(segment=segment, withdrawn=None).order_by("pk").last()
    context = {
        "voices": spoken.known,
        "label": label,
        "name": spoken.names.get(label, label),
        "said": said,
        "new_speaker": NEW_SPEAKER,
        "error": error,
        "clock": short_clock(segment.start),
        "given": request.POST,
    }
    return _form(request, "transcription/speaker.html", segment, context, status)


def _form(request: HttpRequest, template: str, segment: Segment, context: dict[str, Any], status: int) -> HttpResponse:
    frame = "transcription/bare.html" if _by_script(request) else "base.html"
    more = {"frame": frame, "segment": segment, "recording": segment.recording, "job_id": segment.recording.job_id}
    return render(request, template, {**context, **more}, status=status)


def _changed(request: HttpRequest, identity: Identity, segment: Segment) -> HttpResponse:
    if not _by_script(request):
        return _to_segment(segment)
    return HttpResponse(segment_html(request, identity, segment.recording, segment.pk))


def _voices(request: HttpRequest, segment: Segment) -> HttpResponse:
    """Who speaks where, after a change: names by label, and the label of each segment where another begins."""
    if not _by_script(request):
        return _to_segment(segment)
    spoken = voices_of(segment.recording)
    said = {"names": dict(spoken.known), "labels": {str(pk): label for pk, label in spoken.labels.items()}}
    return HttpResponse(json.dumps(said), content_type="application/json")


def _to_segment(segment: Segment) -> HttpResponse:
    address = reverse("transcription:read", args=[segment.recording.job_id])
    return HttpResponseRedirect(f"{address}#s{segment.pk}")


def _by_script(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
