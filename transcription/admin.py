"""The admin of recordings, what was heard in them, and their transcripts."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin

from clustercore.access.admin import ReadOnlyAdmin, ReadOnlyInline, display
from transcription.models import Correction, Piece, Recording, Segment, Speaker, SpeakerTurn, Transcript


class PieceInline(ReadOnlyInline):
    model = Piece
    show_change_link = False
    fields = ("ordinal", "seconds", "unit", "blob")
    readonly_fields = fields

    @display(description="seconds")
    def seconds(self, piece: Piece) -> str:
        return f"{piece.start_sample / 16_000:.2f} to {piece.end_sample / 16_000:.2f}"


class TranscriptInline(ReadOnlyInline):
    model = Transcript
    fields = ("language", "text", "sha256", "created")
    readonly_fields = fields


@admin.register(Recording)
class RecordingAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "job", "duration", "container", "codec", "sample_rate", "channels")
    list_display_links = ("id", "name")
    list_filter = ("container", "codec", "job__state")
    list_select_related = ("job",)
    search_fields = ("name", "=job__id", "blob__startswith")
    inlines = (TranscriptInline, PieceInline)

    @display(description="length", ordering="seconds")
    def duration(self, recording: Recording) -> str:
        if recording.seconds is None:
            return "not known yet"
        minutes, seconds = divmod(round(recording.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}"


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    list_display = ("recording", "span", "text", "node_name", "engine", "model", "rung", "real_time_factor")
    list_display_links = ("text",)
    list_filter = ("engine", "model", "node_name", "rung")
    list_select_related = ("recording",)
    search_fields = ("text", "recording__name", "=recording__job__id")

    @display(description="seconds", ordering="start")
    def span(self, segment: Segment) -> str:
        return f"{segment.start:.2f} to {segment.end:.2f}"


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    list_display = ("segment_id", "word", "replaced", "text", "author_name", "at", "withdrawn")
    list_display_links = ("replaced", "text")
    list_filter: ClassVar[Any] = ("at", ("withdrawn", admin.EmptyFieldListFilter))
    list_select_related = ("segment",)
    search_fields = ("text", "replaced", "author_name", "=segment__recording__job__id")
    fields = ("segment", "word", "replaced", "text", "author", "author_name", "at", "withdrawn")
    readonly_fields = fields


@admin.register(SpeakerTurn)
class SpeakerTurnAdmin(ReadOnlyAdmin):
    list_display = ("segment_id", "label", "alone", "author_name", "at", "withdrawn")
    list_display_links = ("label", "segment_id")
    list_filter: ClassVar[Any] = ("at", ("withdrawn", admin.EmptyFieldListFilter))
    search_fields = ("label", "author_name", "=segment__recording__job__id")


@admin.register(Speaker)
class SpeakerAdmin(ReadOnlyAdmin):
    list_display = ("recording", "label", "name")
    list_display_links = ("label", "name")
    list_select_related = ("recording",)
    search_fields = ("name", "recording__name")


@admin.register(Transcript)
class TranscriptAdmin(ReadOnlyAdmin):
    list_display = ("recording", "language", "beginning", "created")
    list_filter = ("language", "created")
    list_select_related = ("recording",)
    search_fields = ("text", "recording__name")

    @display(description="text")
    def beginning(self, transcript: Transcript) -> str:
        return transcript.text[:160]
