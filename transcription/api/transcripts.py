"""`GET /api/v1/transcriptions/<job>/transcript`: the text in every format."""

from __future__ import annotations

import hashlib
import json

from django.http import HttpResponse
from django.utils.http import content_disposition_header, parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.api.negotiation import AnyAccepted
from clustercore.access.domain.roles import Permission
from clustercore.access.http.refusals import RequestRefused
from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.visibility import visible_jobs
from transcription.domain.cues import DEFAULT_LAYOUT, MOST_LINES, NARROWEST, WIDEST
from transcription.domain.exports import EXPORTS, as_document, export
from transcription.domain.naming import download_name
from transcription.domain.speech_task import task_of
from transcription.models import Recording
from transcription.selectors import transcript_of
from transcription.services.permissions import layout_asked

COMPLETE = "X-Transcript-Complete"


class TranscriptText(APIView):
    """The transcript of one job."""

    permissions = {"GET": Permission.VIEW}
    content_negotiation_class = AnyAccepted

    @extend_schema(
        operation_id="transcriptions_transcript",
        tags=["transcriptions"],
        summary="The transcript in one of its formats",
        parameters=[
            OpenApiParameter("format", OpenApiTypes.STR, enum=list(EXPORTS), default="json"),
            OpenApiParameter(
                "as_heard",
                OpenApiTypes.BOOL,
                description="What the engines said, without what people corrected.",
                default=False,
            ),
            OpenApiParameter(
                "max_line_width",
                {"type": "integer", "minimum": NARROWEST, "maximum": WIDEST, "default": DEFAULT_LAYOUT.line_width},
                description="Columns of a caption's line, with `srt` and `vtt`; a wide character has two.",
            ),
            OpenApiParameter(
                "max_line_count",
                {"type": "integer", "minimum": 1, "maximum": MOST_LINES, "default": DEFAULT_LAYOUT.line_count},
                description="Lines of a caption, with `srt` and `vtt`.",
            ),
            OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="A known `ETag`."),
        ],
        responses={
            (200, "application/json"): {
                "type": "object",
                "required": ["text", "complete", "gaps"],
                "properties": {
                    "text": {"type": "string"},
                    "complete": {"type": "boolean"},
                    "gaps": {"type": "array", "items": {"$ref": "#/components/schemas/Gap"}},
                },
            },
            **{
                (200, exporter.media_type.partition(";")[0]): {"type": "string"}
                for exporter in EXPORTS.values()
                if exporter.media_type != "application/json"
            },
            304: OpenApiResponse(description="Unchanged."),
            409: None,
        },
    )
    def get(self, request: Request, job_id: int) -> HttpResponse:
        """Of a job that is not done, what was heard so far: then `X-Transcript-Complete` is `false`, and so is the
        field `complete` of JSON formats. They are `false` too where a job was done with gaps: JSON formats list these
        as `gaps`, the others have a line or a caption in brackets. The `ETag` is of the content."""
        name = request.GET.get("format", "json")
        if name not in EXPORTS:
            raise RequestRefused(
                400, f"format: {name[:40]!r} is not one of {', '.join(EXPORTS)}", param="format", code="invalid"
            )
        layout = layout_asked(request.GET)
        recording = _recording(request, job_id)
        _require_something(recording)
        transcript = transcript_of(job_id, as_heard=_is_true(request.GET.get("as_heard")))
        complete = recording.job.state == JobState.DONE and not transcript.gaps
        text = _text(recording.job, export(transcript, name, layout), name, complete=complete)
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
        if etag in parse_etags(request.headers.get("If-None-Match", "")):
            return _told(HttpResponse(status=304), etag, complete=complete)
        response = HttpResponse(text.encode(), content_type=EXPORTS[name].media_type)
        ending = EXPORTS[name].ending if complete else f"partial.{EXPORTS[name].ending}"
        disposition = content_disposition_header(True, download_name(recording.name, ending))
        response["Content-Disposition"] = disposition or "attachment"
        return _told(response, etag, complete=complete)


def _recording(request: Request, job_id: int) -> Recording:
    seen = Recording.objects.select_related("job").filter(job__in=visible_jobs(requester(request)), job_id=job_id)
    recording = seen.first()
    if recording is None:
        raise RequestRefused(404, f"there is no transcript {job_id} that you may read", code="not_found")
    return recording


def _require_something(recording: Recording) -> None:
    """An empty text would be taken for silence where nothing was ever listened to."""
    job = recording.job
    ended_badly = job.state in (JobState.FAILED, JobState.CANCELLED)
    if ended_badly and not recording.segments.exists():
        message = f"there is no transcript: the job {job.state}: {job.error}"
        if job.state == JobState.CANCELLED:
            message = f"there is no transcript: the job was cancelled before anything was heard ({job.error})"
        raise RequestRefused(409, message, code=f"job_{job.state}")


def _text(job: Job, text: str, name: str, *, complete: bool) -> str:
    if EXPORTS[name].media_type != "application/json":
        return text
    document = json.loads(text)
    if "task" in document:
        document["task"] = task_of(job.parameters)
    return as_document({**document, "complete": complete})


def _told(response: HttpResponse, etag: str, *, complete: bool) -> HttpResponse:
    response["ETag"] = etag
    response[COMPLETE] = "true" if complete else "false"
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() not in ("false", "0")
