"""`POST /api/v1/transcriptions`: a recording that comes with the request, came before, or lies on the hub already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.api.parsing import JSONParser
from clustercore.access.domain.roles import Permission
from clustercore.jobs.api.serializers import JobDetailSerializer
from clustercore.jobs.api.submitting import KEY_PARAMETER, SentSerializer, answer_with, sent_with
from transcription.domain.speech_task import Task
from transcription.services.submit import LONGEST_PROMPT, MOST_TRACKS, QUALITIES, Wishes, submit_sent


class TranscriptionSerializer(SentSerializer):
    """What is to be transcribed, and how. One of `file` (in a form), `upload` and `path`."""

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
        parameters=[KEY_PARAMETER],
        request={"multipart/form-data": TranscriptionFormSerializer, "application/json": TranscriptionSerializer},
        responses={201: JobDetailSerializer, 200: JobDetailSerializer, 409: None, 413: None, 507: None},
    )
    def post(self, request: Request) -> Response:
        """Answers with the job at once; `Location` is where it can be followed."""
        identity = requester(request)
        asked = TranscriptionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wishes = _wishes(asked.validated_data, request.headers.get("Idempotency-Key"))
        with sent_with(request, asked.validated_data, "the recording") as sent:
            job, is_new = submit_sent(identity, sent, wishes)
        return answer_with(job, is_new=is_new)


def _wishes(asked: Mapping[str, Any], key: str | None) -> Wishes:
    fields = ("language", "prompt", "task", "quality", "engine", "track", "priority", "title")
    given = {name: asked[name] for name in fields if asked.get(name) not in (None, "")}
    return Wishes(**given, idempotency_key=key)
