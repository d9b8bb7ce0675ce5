"""Asking for a transcription by a form; the page's script sends large files in parts instead."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.blobs.domain.errors import BlobError
from clustercore.blobs.services import local_path
from clustercore.config.environment import environment
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.visibility import visible_jobs
from clustercore.jobs.services.sent_files import Sent, file_at
from clustercore.jobs.services.submit import BacklogFull
from clustercore.nodes.selectors import usable_models
from transcription.domain.language import LANGUAGES, language_name
from transcription.domain.traits import DETECTS_LANGUAGE
from transcription.models import Recording
from transcription.services.submit import LONGEST_PROMPT, MOST_TRACKS, Wishes, submit_sent

QUALITIES = (
    ("normal", "Normal", "The best machine that is on, and those one step below it."),
    ("best", "Best", "Only the best model of the cluster; it may have to wait for its machine."),
    ("any", "Any machine", "Every machine helps, also with small models: soonest, and roughest."),
)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    """The form, with the settings of another job where `?from=ID` names one; a POST submits its files."""
    identity = require(request, Permission.SUBMIT)
    source = _source(request, identity)
    if request.method != "POST":
        return _page(request, source, _settings_of(source))
    try:
        jobs = _submit(request, identity, source)
    except InvalidRequest as error:
        return _page(request, source, request.POST.dict(), error, 422)
    except BacklogFull as error:
        response = _page(request, source, request.POST.dict(), InvalidRequest("file", str(error)), 503)
        response["Retry-After"] = str(error.retry_after)
        return response
    if len(jobs) == 1:
        return HttpResponseRedirect(reverse("jobs:detail", args=[jobs[0].pk]))
    messages.success(request, f"{len(jobs)} recordings are on their way.")
    return HttpResponseRedirect(reverse("jobs:list"))


def _source(request: HttpRequest, identity: Identity) -> Recording | None:
    """The recording of the job whose settings are taken over. Raises RequestRefused (404)."""
    text = request.POST.get("from", request.GET.get("from", ""))
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 19:
        seen = Recording.objects.select_related("job").filter(job__in=visible_jobs(identity), job_id=int(text))
        if (found := seen.first()) is not None:
            return found
    raise RequestRefused(404, f"there is no transcription {text[:20]!r} whose settings you could take over")


def _submit(request: HttpRequest, identity: Identity, source: Recording | None) -> list[Job]:
    wishes = _wishes(request.POST)
    files = [file for file in request.FILES.getlist("file") if isinstance(file, TemporaryUploadedFile)]
    given = [file_at(Path(file.temporary_file_path()), str(file.name)) for file in files]
    if not given and source is not None:
        given = [_again(source)]
    if not given:
        raise InvalidRequest("file", "choose a recording first: audio or video")
    jobs = []
    for number, sent in enumerate(given):
        job, _ = submit_sent(identity, sent, _once(wishes, f"{number} {sent.name}", sent))
        jobs.append(job)
    return jobs


def _once(wishes: Wishes, name: str, sent: Sent) -> Wishes:
    """The same form sent twice is one job; sent again with another file or other wishes it is another."""
    if wishes.idempotency_key is None:
        return wishes
    digest = hashlib.sha256(repr((wishes, name, sent.sha256())).encode()).hexdigest()
    return replace(wishes, idempotency_key=f"form-{digest}")


def _again(source: Recording) -> Sent:
    try:
        return replace(file_at(local_path(source.blob), source.name), sha256=lambda: source.blob)
    except BlobError as error:
        raise InvalidRequest("file", f"the recording is not on the hub any more ({error}): choose it again") from error


def _wishes(given: Mapping[str, Any]) -> Wishes:
    prompt = " ".join(str(given.get("prompt", "")).split())
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidRequest("prompt", f"{len(prompt)} characters; at most {LONGEST_PROMPT} can be used")
    return Wishes(
        language=str(given.get("language", "")) or None,
        prompt=prompt,
        quality=str(given.get("quality", "normal")),
        engine=str(given.get("engine", "")),
        track=_track(str(given.get("track", "")).strip()),
        idempotency_key=str(given.get("key", ""))[:100] or None,
    )


def _track(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest("track", f"{text[:20]!r} is not the number of a track: 1 is the first")
    return int(text)


def _settings_of(source: Recording | None) -> dict[str, str]:
    """The fields of the form, as the job of a recording had them."""
    if source is None:
        return {"language": "", "prompt": "", "quality": "normal", "engine": "", "track": ""}
    job = source.job
    quality = "best" if job.critical_accuracy else "any" if job.min_rung == 0 else "normal"
    return {
        "language": job.language or "",
        "prompt": str(job.parameters.get("prompt", "")),
        "quality": quality,
        "engine": ":".join(part for part in (job.engine, job.model) if part),
        "track": str(job.parameters.get("track") or ""),
    }


def _page(
    request: HttpRequest,
    source: Recording | None,
    values: Mapping[str, Any],
    error: InvalidRequest | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "languages": sorted(((code, language_name(code)) for code in LANGUAGES), key=lambda pair: pair[1]),
        "qualities": QUALITIES,
        "engines": _engines(),
        "detects_language": usable_models("stt", [DETECTS_LANGUAGE]).exists(),
        "values": values,
        "from_job": source.job if source else None,
        "source": source,
        "errors": {error.field: str(error).partition(": ")[2]} if error else {},
        "most_tracks": MOST_TRACKS,
        "max_upload_gb": environment().max_upload_gb,
        "key": values.get("key") or secrets.token_hex(16),
    }
    return render(request, "transcription/new.html", context, status=status)


def _engines() -> list[dict[str, Any]]:
    """What live nodes can hear with, best first: `engine:model`, its rung, and how many nodes have it."""
    found: dict[str, dict[str, Any]] = {}
    for model in usable_models("stt"):
        value = f"{model.engine}:{model.model}"
        entry = found.setdefault(value, {"value": value, "rung": model.rung, "nodes": 0})
        entry["nodes"] += 1
    return list(found.values())
