"""What the API says of a job that is a transcription."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from transcription.domain.exports import EXPORTS


class HeardBySerializer(serializers.Serializer[Any]):
    node = serializers.CharField()
    engine = serializers.CharField()
    model = serializers.CharField()
    rung = serializers.IntegerField(help_text="Its rung of the ladder; 5 is the best.")
    segments = serializers.IntegerField()


class GapSerializer(serializers.Serializer[Any]):
    start = serializers.FloatField(help_text="Seconds from the start of the recording.")
    end = serializers.FloatField()
    reason = serializers.CharField(help_text="Why there is no text, in words for a person.")


class TranscriptionFactsSerializer(serializers.Serializer[Any]):
    """What only a transcription knows of itself."""

    file_name = serializers.CharField(help_text="As the sender called it.")
    seconds = serializers.FloatField(allow_null=True, help_text="Of sound; null until the recording is cut.")
    container = serializers.CharField(help_text="What was found in the file; empty until it is cut.")
    codec = serializers.CharField()
    sample_rate = serializers.IntegerField(allow_null=True)
    channels = serializers.IntegerField(allow_null=True)
    language = serializers.CharField(help_text="ISO 639-1; empty while undecided, or where nobody was heard to speak.")
    pieces = serializers.IntegerField()
    pieces_heard = serializers.IntegerField()
    gaps = GapSerializer(many=True, help_text="What of the recording the transcript lacks, once it is merged.")
    speed = serializers.FloatField(
        allow_null=True, help_text="Seconds of sound heard per second worked, all nodes together."
    )
    heard_by = HeardBySerializer(many=True, help_text="Who heard it, most segments first.")
    preview = serializers.CharField(help_text="How the text begins.")
    reader_url = serializers.CharField()
    audio_url = serializers.CharField()
    # Named, so that generators of clients make one class of it.
    downloads = inline_serializer("TranscriptDownloads", {name: serializers.CharField() for name in EXPORTS})
