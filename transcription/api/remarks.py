"""What people say about a transcript, for programs: segments, corrections, speakers. Nothing that was heard changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import StrictSerializer, requester
from clustercore.access.domain.roles import Permission
from clustercore.jobs.api.pages import PAGE_PARAMETERS, page_body, page_of
from transcription.domain.reading import Reading
from transcription.domain.speakers import LABEL_CHARACTERS, NAME_CHARACTERS
from transcription.models import Correction, Recording, Segment
from transcription.selectors import readings_of, voices_of
from transcription.services.permissions import recording_to_change, recording_to_read, segment_of
from transcription.services.remarks import (
    TEXT_CHARACTERS,
    Where,
    correct,
    name_speaker,
    say_speaker,
    withdraw_correction,
    withdraw_turn,
)

_LARGEST_ID = 2**63 - 1
_MOST_WORDS = 100_000


class SegmentWordSerializer(serializers.Serializer[Any]):
    word = serializers.CharField()
    start = serializers.FloatField(help_text="Seconds from the start of the recording.")
    end = serializers.FloatField()
    probability = serializers.FloatField(allow_null=True, help_text="0 to 1; null where a person wrote it.")


class SegmentSerializer(serializers.Serializer[Any]):
    """A stretch of speech, as it is read now and as it was heard."""

    id = serializers.IntegerField()
    start = serializers.FloatField()
    end = serializers.FloatField()
    text = serializers.CharField(help_text="As people corrected it; empty where they deleted it.")
    heard = serializers.CharField(help_text="As the engine gave it.")
    words = SegmentWordSerializer(many=True, help_text="Those of `text`, where their times are known.")
    heard_words = SegmentWordSerializer(many=True, help_text="A correction names one of these by its place, from 0.")
    label = serializers.CharField(  # type: ignore[assignment]  # a field of that name, not its caption
        help_text="Of who speaks; empty where nobody said."
    )
    speaker = serializers.CharField(help_text="The name of the label; the label itself where it has no name.")
    node = serializers.CharField()
    engine = serializers.CharField()
    model = serializers.CharField()
    rung = serializers.IntegerField()


class SegmentPageSerializer(serializers.Serializer[Any]):
    results = SegmentSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class CorrectionSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    segment = serializers.IntegerField()
    word = serializers.IntegerField(allow_null=True, help_text="Its place among the words heard; null: the segment.")
    text = serializers.CharField(help_text="Empty: deleted.")
    replaced = serializers.CharField(help_text="What was read there before.")
    author = serializers.CharField()
    at = serializers.DateTimeField()
    withdrawn = serializers.DateTimeField(allow_null=True, help_text="When it was undone; null while it counts.")


class CorrectionPageSerializer(serializers.Serializer[Any]):
    results = CorrectionSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class CorrectionWishSerializer(StrictSerializer):
    segment = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID)
    word = serializers.IntegerField(
        min_value=0, max_value=_MOST_WORDS, required=False, allow_null=True, default=None, help_text="Null: all of it."
    )
    text = serializers.CharField(allow_blank=True, max_length=TEXT_CHARACTERS, help_text="Empty deletes.")


class SpeakerSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    name = serializers.CharField(help_text="The label itself until somebody gives a name.")


class SpeakersSerializer(serializers.Serializer[Any]):
    speakers = SpeakerSerializer(many=True)
    turn = serializers.IntegerField(
        required=False, help_text="After saying who speaks: what was said, by the number that takes it back."
    )


class TurnWishSerializer(StrictSerializer):
    segment = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID)
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=LABEL_CHARACTERS,
        required=False,
        allow_null=True,
        allow_blank=True,
        default=None,
        help_text="Left out: somebody new. Empty: nobody knows.",
    )
    name = serializers.CharField(
        max_length=NAME_CHARACTERS, required=False, allow_blank=True, default="", help_text="Of somebody new."
    )
    alone = serializers.BooleanField(required=False, default=False, help_text="In this segment, and not from it on.")


class NameWishSerializer(StrictSerializer):
    name = serializers.CharField(max_length=NAME_CHARACTERS)


class Segments(APIView):
    """The segments of a transcript."""

    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        operation_id="transcriptions_segments",
        tags=["transcriptions"],
        summary="The segments of a transcript",
        parameters=PAGE_PARAMETERS,
        responses=SegmentPageSerializer,
    )
    def get(self, request: Request, job_id: int) -> Response:
        """In the order in which they were heard: sort them by `start`."""
        recording = recording_to_read(requester(request), job_id)
        page = page_of(request)
        rows = Segment.objects.filter(recording=recording, pk__gt=page.after or 0).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[: page.limit + 1])
        found = sorted(readings_of(recording, Q(pk__in=ids)), key=lambda reading: reading.id)
        return Response(page_body([_segment_body(reading) for reading in found], page))


class Corrections(APIView):
    """The corrections of a transcript."""

    permissions = {"GET": Permission.VIEW, "POST": Permission.OPERATE}

    @extend_schema(
        operation_id="transcriptions_corrections",
        tags=["transcriptions"],
        summary="All corrections of a transcript, the oldest first",
        parameters=PAGE_PARAMETERS,
        responses=CorrectionPageSerializer,
    )
    def get(self, request: Request, job_id: int) -> Response:
        """Those that were undone are among them."""
        recording = recording_to_read(requester(request), job_id)
        page = page_of(request)
        rows = Correction.objects.filter(segment__recording=recording, pk__gt=page.after or 0).order_by("pk")
        return Response(page_body([_correction_body(row) for row in rows[: page.limit + 1]], page))

    @extend_schema(
        operation_id="transcriptions_correct",
        tags=["transcriptions"],
        summary="Correct a word or a segment",
        request=CorrectionWishSerializer,
        responses={201: CorrectionSerializer},
    )
    def post(self, request: Request, job_id: int) -> Response:
        """What was heard is kept; the latest correction that was not undone counts."""
        recording = recording_to_change(requester(request), job_id)
        given = _given(CorrectionWishSerializer, request)
        where = Where(segment_of(recording, given["segment"]), given["word"])
        return Response(_correction_body(correct(requester(request), where, given["text"])), status=201)


class OneCorrection(APIView):
    """One correction."""

    permissions = {"DELETE": Permission.OPERATE}

    @extend_schema(
        operation_id="transcriptions_uncorrect",
        tags=["transcriptions"],
        summary="Undo a correction",
        responses={204: None},
    )
    def delete(self, request: Request, job_id: int, correction_id: int) -> Response:
        """It stays in the history and counts no more."""
        recording = recording_to_change(requester(request), job_id)
        withdraw_correction(requester(request), recording, correction_id)
        return Response(status=204)


class Speakers(APIView):
    """Who speaks in a recording."""

    permissions = {"GET": Permission.VIEW, "POST": Permission.OPERATE}

    @extend_schema(
        operation_id="transcriptions_speakers",
        tags=["transcriptions"],
        summary="Who speaks",
        responses=SpeakersSerializer,
    )
    def get(self, request: Request, job_id: int) -> Response:
        """Each segment names one of these labels, or none."""
        return Response(_speakers_body(recording_to_read(requester(request), job_id)))

    @extend_schema(
        operation_id="transcriptions_say_speaker",
        tags=["transcriptions"],
        summary="Say who speaks from a segment on",
        request=TurnWishSerializer,
        responses={201: SpeakersSerializer},
    )
    def post(self, request: Request, job_id: int) -> Response:
        """It holds until the next thing that was said, or until the engine heard another speaker."""
        recording = recording_to_change(requester(request), job_id)
        given = _given(TurnWishSerializer, request)
        segment = segment_of(recording, given["segment"])
        turn = say_speaker(requester(request), segment, given["label"], name=given["name"], alone=given["alone"])
        return Response({**_speakers_body(recording), "turn": turn.pk}, status=201)


class OneSpeaker(APIView):
    """One speaker, by label."""

    permissions = {"PATCH": Permission.OPERATE}

    @extend_schema(
        operation_id="transcriptions_name_speaker",
        tags=["transcriptions"],
        summary="Name a speaker",
        request=NameWishSerializer,
        responses=SpeakersSerializer,
    )
    def patch(self, request: Request, job_id: int, label: str) -> Response:
        """In all segments of the transcript."""
        recording = recording_to_change(requester(request), job_id)
        name_speaker(requester(request), recording, label, _given(NameWishSerializer, request)["name"])
        return Response(_speakers_body(recording))


class OneTurn(APIView):
    """One thing that was said on who speaks."""

    permissions = {"DELETE": Permission.OPERATE}

    @extend_schema(
        operation_id="transcriptions_unsay_speaker",
        tags=["transcriptions"],
        summary="Take back who speaks",
        responses={204: None},
    )
    def delete(self, request: Request, job_id: int, turn_id: int) -> Response:
        """What was said before it, or what the engine heard, holds again."""
        recording = recording_to_change(requester(request), job_id)
        withdraw_turn(requester(request), recording, turn_id)
        return Response(status=204)


def _given(wish: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """What the request asks for; after who asks was found to be allowed it. Raises ValidationError."""
    asked = wish(data=request.data)
    asked.is_valid(raise_exception=True)
    given: dict[str, Any] = asked.validated_data
    return given


def _segment_body(reading: Reading) -> dict[str, Any]:
    shown = reading.shown
    return {
        "id": reading.id,
        "start": reading.heard.start,
        "end": reading.heard.end,
        "text": shown.text,
        "heard": reading.heard.text,
        "words": [asdict(word) for word in shown.words],
        "heard_words": [asdict(word) for word in reading.heard.words],
        "label": reading.label,
        "speaker": reading.speaker,
        **asdict(reading.provenance),
    }


def _correction_body(row: Correction) -> dict[str, Any]:
    return {
        "id": row.pk,
        "segment": row.segment_id,
        "word": row.word,
        "text": row.text,
        "replaced": row.replaced,
        "author": row.author_name,
        "at": row.at,
        "withdrawn": row.withdrawn,
    }


def _speakers_body(recording: Recording) -> dict[str, Any]:
    return {"speakers": [{"label": label, "name": name} for label, name in voices_of(recording).known]}
