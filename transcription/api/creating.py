"""`POST /api/v1/transcriptions`: a recording that comes with the request, came before, or lies on the hub already."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import StrictSerializer, requester
from clustercore.access.api.parsing import JSONParser
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.services import audit
from clustercore.blobs.adapters.files import hash_of_open
from clustercore.blobs.adapters.received import ReceivedFile
from clustercore.blobs.domain.uploads import UploadState
from clustercore.blobs.http.received import received_with
from clustercore.blobs.selectors import uploads_of
from clustercore.blobs.services import keep, store_open_file
from clustercore.blobs.services.receiving import keep_upload
from clustercore.jobs.api.bodies import job_detail_body
from clustercore.jobs.api.serializers import JobDetailSerializer
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.progress import job_progress
from transcription.domain.speech_task import Task
from transcription.services.importing import open_import
from transcription.services.submit import (
    LONGEST_PROMPT,
    MOST_TRACKS,
    QUALITIES,
    InvalidRequest,
    Sent,
    Wishes,
    submit_sent,
)


class TranscriptionSerializer(StrictSerializer):
    """What is to be transcribed, and how. One of `file` (in a form), `upload` and `path`."""

    upload = serializers.UUIDField(required=False, help_text="A resumable upload that is whole.")
    path = serializers.CharField(
        required=False, max_length=4096, help_text="A file in one of the folders of CLUSTERCORE_IMPORT_FOLDERS."
    )
    title = serializers.CharField(required=False, max_length=255, allow_blank=True, help_text="Else the file's name.")
    language = serializers.CharField(
        required=False, max_length=60, allow_blank=True, help_text="Code or name; left out or `auto`: detected."
    )
    prompt = serializers.CharField(
        required=False, max_length=LONGEST_PROMPT, allow_blank=True, help_text="Words to expect."
    )
    task = serializers.ChoiceField(
        required=False, choices=[task.value for task in Task], help_text="`translate`: into English."
    )
    quality = serializers.ChoiceField(required=False, choices=list(QUALITIES))
    engine = serializers.CharField(
        required=False, max_length=260, allow_blank=True, help_text="`engine` or `engine:model`, if only that will do."
    )
    track = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_TRACKS,
        help_text="The audio track that is heard, from 1; left out: the main one.",
    )
    priority = serializers.IntegerField(required=False, min_value=-100, max_value=100, help_text="Higher goes first.")


class TranscriptionFormSerializer(TranscriptionSerializer):
    """The same as a form, with the recording in it."""

    file = serializers.FileField(required=False, help_text="The recording: audio or video.")


class Transcriptions(APIView):
    """Asking for a transcription."""

    permissions = {"POST": Permission.SUBMIT}
    # A form with a file has been read in front of Django: its fields come as a small form.
    parser_classes = [JSONParser, FormParser]

    @extend_schema(
        operation_id="transcriptions_create",
        tags=["transcriptions"],
        summary="Transcribe a recording",
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                {"type": "string", "minLength": 1, "maxLength": 200},
                OpenApiParameter.HEADER,
                description="A second request with the same key gets the first one's job, with 200. The same key with "
                "another recording or other fields is 409. A key whose job failed or was cancelled may be used again.",
            )
        ],
        request={"multipart/form-data": TranscriptionFormSerializer, "application/json": TranscriptionSerializer},
        responses={201: JobDetailSerializer, 200: JobDetailSerializer, 409: None, 413: None, 507: None},
    )
    def post(self, request: Request) -> Response:
        """Answers with the job at once; `Location` is where it can be followed."""
        identity = requester(request)
        asked = TranscriptionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        received = received_with(getattr(request._request, "scope", {}))
        wishes = _wishes(asked.validated_data, identity, request.headers.get("Idempotency-Key"))
        job, is_new = _submit(identity, asked.validated_data, received, wishes)
        body = job_detail_body(job_progress(Job.objects.filter(pk=job.pk), with_shares=True)[0])
        return Response(body, 201 if is_new else 200, headers={"Location": f"/api/v1/jobs/{job.pk}"})


def _wishes(asked: Mapping[str, Any], identity: Identity, key: str | None) -> Wishes:
    fields = ("language", "prompt", "task", "quality", "engine", "track", "priority", "title")
    given = {name: asked[name] for name in fields if asked.get(name) not in (None, "")}
    return Wishes(**given, idempotency_key=key, owner_id=identity.user_id)


def _submit(
    identity: Identity, asked: Mapping[str, Any], received: ReceivedFile | None, wishes: Wishes
) -> tuple[Job, bool]:
    _refuse_other_than_one(asked, received)
    if received is not None:
        sent = Sent(
            name=received.name, size=received.size, sha256=lambda: received.sha256, store=lambda: keep(received)
        )
        job, is_new = submit_sent(sent, wishes)
    elif "upload" in asked:
        job, is_new = submit_sent(_upload(identity, str(asked["upload"])), wishes)
    else:
        job, is_new = _from_path(str(asked["path"]), wishes)
    if is_new:
        audit.record(identity, "job.submit", f"job {job.pk}")
    return job, is_new


def _refuse_other_than_one(asked: Mapping[str, Any], received: ReceivedFile | None) -> None:
    if received is not None and received.field != "file":
        raise InvalidRequest(received.field[:60], "the recording belongs in the field `file`")
    given = [name for name in ("upload", "path") if name in asked] + (["file"] if received is not None else [])
    if not given:
        raise InvalidRequest("file", "send the recording as `file` in a form, or name an `upload` or a `path`")
    if len(given) > 1:
        raise InvalidRequest(given[0], f"{' and '.join(given)} were sent: one recording a request")


def _upload(identity: Identity, upload_id: str) -> Sent:
    upload = uploads_of(identity.user_id).filter(pk=upload_id).first()
    if upload is None:
        raise InvalidRequest("upload", "there is no such upload of yours; it may have expired")
    if upload.state == UploadState.OPEN:
        raise InvalidRequest("upload", f"{upload.offset} of {upload.size} bytes have come: send the rest first")
    return Sent(name=upload.name, size=upload.size, sha256=lambda: upload.sha256, store=lambda: keep_upload(upload.pk))


def _from_path(text: str, wishes: Wishes) -> tuple[Job, bool]:
    with closing(open_import(text)) as file:
        size = file.seek(0, 2)
        file.seek(0)
        name = text.replace("\\", "/").rpartition("/")[2]
        sent = Sent(name=name, size=size, sha256=lambda: hash_of_open(file), store=lambda: store_open_file(file))
        return submit_sent(sent, wishes)
