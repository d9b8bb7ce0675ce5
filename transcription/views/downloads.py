"""The transcript in every format, to be taken away."""

from __future__ import annotations

import hashlib

from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header, parse_etags
from django.views.decorators.http import require_safe

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.jobs.domain.progress import FINAL_STATES
from transcription.domain.exports import EXPORTS, export
from transcription.domain.naming import download_name
from transcription.models import Recording
from transcription.selectors import transcript_of
from transcription.services.permissions import layout_asked, recording_to_read


@require_safe
def download(request: HttpRequest, job_id: int, format_name: str) -> HttpResponse:
    """The text as people corrected it; of a job that still runs, what was heard so far.

    `?as_heard` gives what the engines said. `?max_line_width=` and `?max_line_count=` lay captions out. `?view` shows
    plain text in the browser.
    """
    recording = recording_to_read(require(request, Permission.VIEW), job_id)
    if format_name not in EXPORTS:
        raise RequestRefused(404, f"there is no format {format_name[:40]!r}; there are {', '.join(EXPORTS)}")
    layout = layout_asked(request.GET)
    text = export(transcript_of(job_id, as_heard="as_heard" in request.GET), format_name, layout)
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return _with_headers(HttpResponse(status=304), etag)
    response = HttpResponse(text.encode(), content_type=EXPORTS[format_name].media_type)
    is_read = format_name == "txt" and "view" in request.GET
    response["Content-Disposition"] = content_disposition_header(not is_read, _name(recording, format_name)) or ""
    return _with_headers(response, etag)


def _name(recording: Recording, format_name: str) -> str:
    ending = EXPORTS[format_name].ending
    return download_name(recording.name, ending if recording.job.state in FINAL_STATES else f"partial.{ending}")


def _with_headers(response: HttpResponse, etag: str) -> HttpResponse:
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
